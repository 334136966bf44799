//! Pages.
use crate::ReportError;
use imis_mappings::{account::Account, plan::Plan};
/// Page.
pub fn migration_page(account: &Account, plan: Option<&Plan>) -> Result<String, ReportError> {
    let _ = (account, plan);
    Ok(String::new())
}
/// Page.
pub fn plan_page(plan: &Plan) -> Result<String, ReportError> {
    let _ = plan;
    Ok(String::new())
}

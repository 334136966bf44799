//! `imis plan`, and what it has in common with `imis migrate`: opening both ends and binding the mapping to them.

use std::sync::Arc;

use imis_databases::snapshot::write_private;
use imis_databases::{Location, Source};
use imis_mappings::bind::{BoundMapping, bind_seen};
use imis_mappings::language::{Mapping, MappingErrors};
use imis_mappings::seen::Seen;
use imis_mappings::{plan, run};
use imis_schemas::{Catalog, Engine};
use uuid::Uuid;

use crate::args::{Plan, Scan};
use crate::commands::Session;
use crate::exit::{DATA, DONE, Failure};
use crate::show;

/// Both ends of a migration, opened and described, with the mapping bound to them.
pub(crate) struct Opened {
    pub(crate) mapping: Mapping,
    pub(crate) bound: BoundMapping,
    pub(crate) source: Arc<dyn Source>,
    pub(crate) source_catalog: Arc<Catalog>,
    /// The target where it has rows; a snapshot that is to be made has none.
    pub(crate) target: Option<Arc<dyn Source>>,
    pub(crate) target_location: Location,
    pub(crate) target_catalog: Arc<Catalog>,
    pub(crate) from: String,
    pub(crate) namespace: Uuid,
}

impl Session {
    /// Opens both ends and binds the mapping.
    pub(crate) async fn ends(
        &self,
        source: Arc<dyn Source>,
        from: String,
        to: &str,
        mapping: &str,
        country: Option<Uuid>,
    ) -> Result<Opened, Failure> {
        let mapping = self.mapping(mapping)?;
        let target_location = self.target(to)?;
        let source_catalog = source.catalog().await?;
        let (target, target_catalog) = match &target_location {
            Location::Snapshot(_) => (None, Arc::new(modular()?)),
            Location::Catalog(_) | Location::Release(_) => (None, self.catalog(&target_location).await?),
            _ => {
                let target = self.open(&target_location).await?;
                let mut catalog = target.catalog().await?;
                if let Location::Postgres(address) = &target_location {
                    let was = imis_mappings::run::as_it_was(address, Catalog::clone(&catalog)).await?;
                    catalog = Arc::new(was);
                }
                (Some(target), catalog)
            }
        };
        if target_catalog.engine != Engine::Postgres {
            return Err(Failure::usage("the target must be PostgreSQL or a snapshot folder"));
        }
        let django = target_catalog.table("django_migrations").is_some();
        match (mapping.migrated, &target_location) {
            (Some(true), _) if target.is_some() && !django => return Err(run::not_migrated().into()),
            (Some(false), Location::Snapshot(_)) => {
                return Err(Failure::usage(format!(
                    "{} cannot fill a snapshot: Django's migrations come after it",
                    mapping.name
                ))
                .with_help("Name a database that `imis prepare` made, or use openimis/legacy-to-modular."));
            }
            // Whether they ran is asked of the rows too, when the run begins: an empty table of migrations is none.
            (Some(false), Location::Postgres(address)) if django && run::django_ran(address).await? => {
                return Err(run::migrated_already().into());
            }
            _ => {}
        }
        let target_catalog = Arc::new(mapping.loosened(Catalog::clone(&target_catalog)));
        // Made UUIDs belong to a country. Without its UUID the source's name stands for it, so that runs agree.
        let namespace = country.unwrap_or_else(|| namespace(&from));
        let bound = bind_live(&mapping, source.as_ref(), &source_catalog, &target_catalog, namespace).await?;
        Ok(Opened { mapping, bound, source, source_catalog, target, target_location, target_catalog, from, namespace })
    }
}

/// Reads the known releases, which every mapping is bound with, while servers are asked for their catalogues. Where the system has no
/// thread to give, they are read when they are needed.
pub(crate) fn get_ready() {
    let _ = std::thread::Builder::new().name("releases".to_owned()).spawn(imis_schemas::identify::get_ready);
}

/// Binds a mapping to a source that can be asked: for rights, and for what columns hold that the mapping does not know.
pub(crate) async fn bind_live(
    mapping: &Mapping,
    source: &dyn Source,
    source_catalog: &Catalog,
    target_catalog: &Catalog,
    namespace: Uuid,
) -> Result<BoundMapping, Failure> {
    let seen = Seen::of(source, source_catalog).await;
    bind_known(mapping, source, source_catalog, target_catalog, namespace, seen).await
}

/// The same where the source was asked already.
pub(crate) async fn bind_known(
    mapping: &Mapping,
    source: &dyn Source,
    source_catalog: &Catalog,
    target_catalog: &Catalog,
    namespace: Uuid,
    mut seen: Seen,
) -> Result<BoundMapping, Failure> {
    match bind_seen(mapping, source_catalog, target_catalog, namespace, &seen).await {
        Ok(bound) => Ok(bound),
        Err(errors) if seen.count(&errors, source, source_catalog).await? => {
            Ok(bind_seen(mapping, source_catalog, target_catalog, namespace, &seen).await?)
        }
        Err(errors) => Err(errors.into()),
    }
}

/// What a mapping complains about, with what the columns hold that it does not know; `None` when it fits.
pub(crate) async fn errors_live(
    mapping: &Mapping,
    source: Option<&dyn Source>,
    source_catalog: &Catalog,
    target_catalog: &Catalog,
    seen: &mut Seen,
) -> Result<Option<MappingErrors>, Failure> {
    if let Some(source) = source {
        *seen = Seen::of(source, source_catalog).await;
    }
    let namespace = Uuid::nil();
    let Err(errors) = bind_seen(mapping, source_catalog, target_catalog, namespace, seen).await else {
        return Ok(None);
    };
    match source {
        Some(source) if seen.count(&errors, source, source_catalog).await? => {
            Ok(bind_seen(mapping, source_catalog, target_catalog, namespace, seen).await.err())
        }
        _ => Ok(Some(errors)),
    }
}

/// The namespace of made UUIDs that follows from a source's name.
pub(crate) fn namespace(from: &str) -> Uuid {
    Uuid::new_v5(&Uuid::NAMESPACE_URL, format!("imis:{}", from.to_lowercase()).as_bytes())
}

/// The shape of a modular snapshot.
pub(crate) fn modular() -> Result<Catalog, Failure> {
    imis_schemas::release("modular/1.11").map_err(|e| Failure::failed(e.to_string()))
}

impl Opened {
    /// Makes the plan.
    pub(crate) async fn plan(&self, rows_a_range: u64) -> Result<plan::Plan, Failure> {
        let ends = plan::Ends {
            source: &self.source,
            source_catalog: &self.source_catalog,
            target: self.target.as_ref(),
            target_catalog: &self.target_catalog,
            to: self.target_location.to_string(),
            from: self.from.clone(),
            rows_a_range,
        };
        Ok(plan::Plan::make(&self.mapping, &self.bound, &ends, self.namespace).await?)
    }
}

pub(crate) async fn plan(args: Plan, session: &Session) -> Result<u8, Failure> {
    let from = session.location(&args.ends.from)?;
    let wish = session.wish(&args.ends.from, args.ends.consistency);
    get_ready();
    let source = session.open_as(&from, wish).await?;
    let opened = session.ends(source, from.to_string(), &args.ends.to, &args.ends.mapping, args.ends.country).await?;
    let plan = opened.plan(args.rows_a_range).await?;
    if let Some(path) = &args.output {
        let text = serde_json::to_string_pretty(&plan).map_err(|e| Failure::failed(e.to_string()))?;
        write_private(path, text.as_bytes())?;
    }
    let scanned = match args.scan {
        Scan::None => None,
        scan => {
            let bars = session.bars();
            let target = opened.target.as_ref();
            let extent = run::Extent { sample: scan == Scan::Sample, max_cell: args.max_cell * 1024 * 1024 };
            let found = run::scan(&opened.bound, &plan, &opened.source, target, extent, &bars).await?;
            bars.clear();
            Some(found)
        }
    };
    if session.json {
        show::json(&serde_json::json!({ "plan": plan, "scan": scanned }))?;
    } else {
        show::print(&imis_reports::terminal::plan(&plan, &session.style))?;
        if let Some(found) = &scanned {
            show::print(&imis_reports::terminal::scan(found, &session.style))?;
        }
        if let Some(path) = &args.output {
            session.say(&format!("The plan: {}. Carry it out with `imis migrate --plan`.", path.display()));
        }
    }
    let reading = plan.reading.clone().until(opened.source.mark().await);
    let disturbed = reading.is_disturbed(plan.consistency);
    if disturbed {
        session.warn("Somebody wrote to the source while it was read, although it was to stand still.");
    }
    let refused =
        plan.rules.iter().any(|rule| rule.existing > 0 && rule.policy == "refuse" && !rule_is_later(&plan, rule));
    let rejected = scanned.as_ref().is_some_and(|scanned| scanned.rejected() > 0);
    if refused {
        session
            .say("The target has rows where the mapping refuses them (see `existing`); a migration would stop there.");
    }
    Ok(if refused || rejected || disturbed { DATA } else { DONE })
}

/// Whether an earlier rule to the same table says what becomes of its rows.
fn rule_is_later(plan: &plan::Plan, rule: &plan::PlannedRule) -> bool {
    plan.rules.iter().any(|other| other.to == rule.to && other.policy != "refuse")
}

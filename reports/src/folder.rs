//! The folder of `--report`: made for its owner only, and only our own files in it are replaced.

use std::fs;
use std::path::{Path, PathBuf};

use imis_checks::outcome::{Outcome, Severity};
use imis_checks::profile::Profile;
use imis_databases::snapshot::write_private;
use imis_mappings::account::Account;
use imis_mappings::plan::Plan;
use imis_mappings::verify::Verification;
use imis_schemas::compare::Comparison;

use crate::identity::Identity;
use crate::mask::Values;
use crate::profile::profile_summary;
use crate::summary::{migrate_summary, verify_summary};
use crate::{ReportError, checks, diff, escape, html, parquet};

/// Writes `index.html`, `summary.json`, `rejects.parquet` and `accounting.parquet`; says where they are. The plan, where
/// there is one, adds what was foreseen. Values are masked: a report is handed around. The folder is made (0700) if it is not there, files are 0600.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write_migration(folder: &Path, account: &Account, plan: Option<&Plan>) -> Result<Vec<PathBuf>, ReportError> {
    let summary = serde_json::to_string_pretty(&migrate_summary(account))? + "\n";
    write_all(
        folder,
        &[
            ("index.html", html::migration_page(account, plan)?.into_bytes()),
            ("summary.json", summary.into_bytes()),
            ("rejects.parquet", parquet::rejects_parquet(account)?),
            ("accounting.parquet", parquet::accounting_parquet(account)?),
        ],
    )
}

/// Writes `plan.html` and `plan.json`, the sealed plan itself; says where they are.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write_plan(folder: &Path, plan: &Plan) -> Result<Vec<PathBuf>, ReportError> {
    let json = serde_json::to_string_pretty(plan)? + "\n";
    write_all(folder, &[("plan.html", html::plan_page(plan)?.into_bytes()), ("plan.json", json.into_bytes())])
}

/// Writes `index.html`, `summary.json`, `differences.parquet` and `rows.diff`; says where they are. Values are masked unless they
/// were asked for; secrets always are.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write_verification(folder: &Path, found: &Verification, values: Values) -> Result<Vec<PathBuf>, ReportError> {
    let summary = serde_json::to_string_pretty(&verify_summary(found, values))? + "\n";
    write_all(
        folder,
        &[
            ("index.html", html::verification_page(found, values)?.into_bytes()),
            ("summary.json", summary.into_bytes()),
            ("differences.parquet", parquet::differences_parquet(found, values)?),
            ("rows.diff", diff::rows_diff(found, values).into_bytes()),
        ],
    )
}

/// Writes `index.html`, `summary.json` (the comparison itself), `differences.parquet` and `schema.diff`; says where they are.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write_comparison(folder: &Path, found: &Comparison) -> Result<Vec<PathBuf>, ReportError> {
    write_all(
        folder,
        &[
            ("index.html", html::comparison_page(found)?.into_bytes()),
            ("summary.json", found.to_json().into_bytes()),
            ("differences.parquet", parquet::schema_differences_parquet(found)?),
            ("schema.diff", diff::schema_diff(found).into_bytes()),
        ],
    )
}

/// Writes `index.html`, `summary.json`, `junit.xml` and `sarif.json`; says where they are. `violations.parquet` was written while the
/// checks ran ([`crate::checks::ViolationsFile`]). `fail_on` is the severity from which on a check that failed fails a CI; `None`: none does.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write_checks(
    folder: &Path,
    outcome: &Outcome,
    compared: Option<&checks::Comparison>,
    values: Values,
    fail_on: Option<Severity>,
) -> Result<Vec<PathBuf>, ReportError> {
    let json = |value: &serde_json::Value| -> Result<Vec<u8>, ReportError> {
        let text = serde_json::to_string_pretty(value)? + "\n";
        Ok(escape::json(&text).into_owned().into_bytes())
    };
    write_all(
        folder,
        &[
            ("index.html", html::checks_page(outcome, compared, values)?.into_bytes()),
            ("summary.json", json(&checks::checks_summary(outcome, compared, values))?),
            ("junit.xml", checks::checks_junit(outcome, fail_on)?.into_bytes()),
            ("sarif.json", json(&checks::checks_sarif(outcome))?),
        ],
    )
}

/// Writes `index.html` and `summary.json`, what `imis identify --json` prints; says where they are.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write_identity(folder: &Path, identity: &Identity) -> Result<Vec<PathBuf>, ReportError> {
    let summary = serde_json::to_string_pretty(&identity.summary())? + "\n";
    let page = html::identity_page(identity)?;
    write_all(folder, &[("index.html", page.into_bytes()), ("summary.json", summary.into_bytes())])
}

/// Writes `index.html`, `summary.json` and `profile.parquet`; says where they are. Values are masked unless they were asked for;
/// secrets always are.
///
/// # Errors
/// When the folder or a file cannot be written.
pub fn write_profile(folder: &Path, found: &Profile, values: Values) -> Result<Vec<PathBuf>, ReportError> {
    let summary = serde_json::to_string_pretty(&profile_summary(found, values))? + "\n";
    write_all(
        folder,
        &[
            ("index.html", html::profile_page(found, values)?.into_bytes()),
            ("summary.json", summary.into_bytes()),
            ("profile.parquet", parquet::profile_parquet(found, values)?),
        ],
    )
}

/// Makes a folder for its owner only, if it is not there.
pub(crate) fn private_folder(folder: &Path) -> std::io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)
}

fn write_all(folder: &Path, files: &[(&str, Vec<u8>)]) -> Result<Vec<PathBuf>, ReportError> {
    let trouble = |path: &Path| {
        let path = path.to_owned();
        move |source| ReportError::Write { path, source }
    };
    private_folder(folder).map_err(trouble(folder))?;
    let mut written = Vec::new();
    for (name, bytes) in files {
        let path = folder.join(name);
        // A new file and a rename: never half a page, never the mode of an older file, never through a link to elsewhere.
        let draft = folder.join(format!("{name}.new"));
        match fs::remove_file(&draft) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(trouble(&draft)(error)),
            _ => {}
        }
        write_private(&draft, bytes)?;
        fs::rename(&draft, &path).map_err(trouble(&path))?;
        written.push(path);
    }
    Ok(written)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample;

    #[test]
    fn a_report_is_private_and_replaces_only_its_own_files() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("a/report");
        fs::create_dir_all(parent.path().join("a")).unwrap();
        let files = write_migration(&folder, &sample::account(), None).unwrap();
        assert_eq!(files.len(), 4);
        let other = folder.join("notes.txt");
        fs::write(&other, "mine").unwrap();
        fs::write(folder.join("summary.json"), "old").unwrap();
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
            assert_eq!(mode(&folder), 0o700);
            fs::set_permissions(folder.join("summary.json"), fs::Permissions::from_mode(0o644)).unwrap();
            let again = write_migration(&folder, &sample::account(), Some(&sample::plan())).unwrap();
            assert!(again.iter().all(|path| mode(path) == 0o600));
        }
        write_plan(&folder, &sample::plan()).unwrap();
        let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|e| e.unwrap().file_name()).collect();
        names.sort();
        assert_eq!(
            names,
            [
                "accounting.parquet",
                "index.html",
                "notes.txt",
                "plan.html",
                "plan.json",
                "rejects.parquet",
                "summary.json"
            ]
        );
        let summary: serde_json::Value =
            serde_json::from_str(&fs::read_to_string(folder.join("summary.json")).unwrap()).unwrap();
        assert_eq!(summary["imis"], 1);
        assert!(write_plan(&other, &sample::plan()).is_err());
    }

    #[test]
    fn a_plan_comes_back() {
        let folder = tempfile::tempdir().unwrap();
        write_plan(folder.path(), &sample::plan()).unwrap();
        let text = fs::read_to_string(folder.path().join("plan.json")).unwrap();
        assert_eq!(serde_json::from_str::<Plan>(&text).unwrap(), sample::plan());
    }
}

//! From YAML to [`Mapping`], with a complaint for whatever is not understood.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imis_schemas::document::{
    self, Complaints, Located, Ordered, Place, Plain, ShortOr, SourceFile, located, place_of, place_of_text,
};
use serde_yaml::Spanned;
use sha2::{Digest, Sha256};

use super::error::{MappingError, MappingErrors};
use super::model::{ColumnRule, Existing, Filter, Mapping, Origin, Rule, Tell};
use super::step;
use super::text::{ExistingText, FileText, OriginText, RuleText};

/// The packs that the program carries: name, and files with their texts. The first file is the header.
const PACKS: &[(&str, &[(&str, &str)])] = &include!("../../packs/index.in");

/// The names of the packs.
pub fn pack_names() -> impl Iterator<Item = &'static str> {
    PACKS.iter().map(|(name, _)| *name)
}

impl Mapping {
    /// Reads a pack that the program carries.
    ///
    /// # Errors
    /// When there is no such pack, or it does not parse.
    pub fn pack(name: &str) -> Result<Self, MappingErrors> {
        let Some((_, files)) = PACKS.iter().find(|(known, _)| *known == name) else {
            return Err(Complaints(vec![
                MappingError::general(format!("there is no pack called `{name}`"))
                    .with_help(format!("Known packs: {}.", pack_names().collect::<Vec<_>>().join(", "))),
            ]));
        };
        let mut files = files.iter().map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
        let header = files.next().unwrap_or_default();
        let rest: HashMap<_, _> = files.collect();
        let other = |file: &str| rest.get(file).cloned().ok_or_else(|| format!("the pack has no file {file}"));
        Mapping::read(header, &other, &|place, name| extended_pack(place, name))
    }

    /// Reads a mapping from its first file; the files that it names lie beside it.
    ///
    /// # Errors
    /// When a file cannot be read or does not parse; all complaints at once.
    pub fn open(path: &Path) -> Result<Self, MappingErrors> {
        Mapping::open_within(path, &[])
    }

    /// Opens a file that was reached by way of others, which it must not extend in turn.
    fn open_within(path: &Path, above: &[PathBuf]) -> Result<Self, MappingErrors> {
        let read = |path: &Path| std::fs::read_to_string(path).map_err(|e| format!("{}: {e}", path.display()));
        let text = read(path).map_err(|e| Complaints(vec![MappingError::general(e)]))?;
        let folder = path.parent().unwrap_or(Path::new(".")).to_owned();
        let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let mut chain = above.to_vec();
        chain.push(real(path));
        let base = |place: &Place, name: &str| {
            let file = folder.join(name);
            if pack_names().any(|known| known == name) || !file.is_file() {
                return extended_pack(place, name);
            }
            if let Some(at) = chain.iter().position(|above| *above == real(&file)) {
                let short =
                    |path: &PathBuf| path.file_name().map_or_else(String::new, |n| n.to_string_lossy().into_owned());
                let circle: Vec<String> = chain.iter().skip(at).map(short).chain([short(&real(&file))]).collect();
                let error = MappingError::at(place, format!("the overlay extends itself: {}", circle.join(", ")));
                let error = error.with_label("leads back to where it came from");
                return Err(Complaints(vec![error.with_help("The last of them must extend a pack.")]));
            }
            Mapping::open_within(&file, &chain)
        };
        Mapping::read((path.display().to_string(), text), &|file| read(&folder.join(file)), &base)
    }

    pub(crate) fn read(
        header: (String, String),
        others: &dyn Fn(&str) -> Result<String, String>,
        extended: &dyn Fn(&Place, &str) -> Result<Mapping, MappingErrors>,
    ) -> Result<Self, MappingErrors> {
        let mut errors = Vec::new();
        let mut hash = Sha256::new();
        let first = Arc::new(SourceFile { name: header.0, text: header.1 });
        hash.update(first.text.as_bytes());
        let head: FileText = document::parse(&first).map_err(|e| Complaints(vec![e]))?;
        let base = head.extends.as_ref().map(|name| extended(&place_of(&first, name, name.value.len()), &name.value));
        let base = base.transpose()?;
        let mut mapping = Mapping {
            name: head.mapping.clone().unwrap_or_default(),
            title: head.title.clone().unwrap_or_default(),
            from: head.from.clone().unwrap_or_default(),
            to: head.to.clone().unwrap_or_default(),
            migrated: head.migrated,
            complete: head.complete.clone(),
            completes: head.completes.clone(),
            loosen: super::overlay::loosened(&first, &head, &mut errors),
            reference: head.reference.clone(),
            unused: head.unused.iter().map(|name| located(&first, name)).collect(),
            leave_tables: Vec::new(),
            migrations: Vec::new(),
            absent_tables: Vec::new(),
            rules: Vec::new(),
            repairs: Vec::new(),
            hash: String::new(),
        };
        if let Some(base) = base {
            hash.update(base.hash.as_bytes());
            mapping.extend(base);
            super::overlay::choose_rules(&mut mapping, &first, &head, &mut errors);
        }
        if mapping.name.is_empty() {
            errors.push(MappingError::general(format!("{} has no line `mapping: NAME`", first.name)));
        }
        let files = head.files.clone();
        mapping.add(&first, head, &mut errors);
        for name in files {
            match others(&name) {
                Err(e) => errors.push(MappingError::general(e)),
                Ok(text) => {
                    hash.update(text.as_bytes());
                    let file = Arc::new(SourceFile { name, text });
                    match document::parse::<FileText, _>(&file) {
                        Err(e) => errors.push(e),
                        Ok(content) => mapping.add(&file, content, &mut errors),
                    }
                }
            }
        }
        mapping.hash = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        let mut seen: HashMap<&str, ()> = HashMap::new();
        for name in mapping.rules.iter().map(|rule| &rule.name).chain(mapping.repairs.iter().map(|repair| &repair.rule))
        {
            if seen.insert(&name.value, ()).is_some() {
                errors.push(
                    MappingError::at(&name.place, format!("a second rule is called `{}`", name.value))
                        .with_help("Give each rule a name of its own."),
                );
            }
        }
        if errors.is_empty() { Ok(mapping) } else { Err(Complaints(errors)) }
    }

    fn add(&mut self, file: &Arc<SourceFile>, content: FileText, errors: &mut Vec<MappingError>) {
        self.leave_tables.extend(content.leave_tables.0.into_iter().map(|(name, why)| (located(file, &name), why)));
        for module in super::migrations::modules(file, content.migrations, errors) {
            self.migrations.retain(|known| known.app != module.app);
            self.migrations.push(module);
        }
        self.absent_tables.extend(content.absent_tables.0.into_iter().map(|(name, why)| (located(file, &name), why)));
        for (name, text) in content.rules.0 {
            let name = located(file, &name);
            if text.repair.is_some() || text.query.is_some() {
                match step::repair(file, name, text) {
                    // A repair of the pack that the overlay writes anew.
                    Ok(repair) => {
                        self.repairs.retain(|known| !(known.of_base && known.rule.value == repair.rule.value));
                        self.repairs.push(repair);
                    }
                    Err(error) => errors.push(error),
                }
                continue;
            }
            let existing = self.rules.iter().position(|rule| rule.name.value == name.value && from_a_pack(rule));
            let result = match existing.and_then(|at| self.rules.get_mut(at)) {
                // A rule of the pack that the overlay writes anew, whole ...
                Some(own) if text.from.is_some() => rule(file, name, text).map(|new| *own = new),
                // ... or only amends.
                Some(own) => amend(file, own, text),
                None => rule(file, name, text).map(|new| self.rules.push(new)),
            };
            errors.extend(result.err());
        }
    }

    /// Takes over what an overlay does not say itself.
    fn extend(&mut self, base: Mapping) {
        let or = |own: &mut String, base: String| {
            if own.is_empty() {
                *own = base;
            }
        };
        or(&mut self.title, base.title);
        or(&mut self.from, base.from);
        or(&mut self.to, base.to);
        self.migrated = self.migrated.or(base.migrated);
        self.complete = self.complete.take().or(base.complete);
        self.completes = self.completes.take().or(base.completes);
        self.loosen.extend(base.loosen);
        self.reference = self.reference.take().or(base.reference);
        self.unused.extend(base.unused);
        self.leave_tables.extend(base.leave_tables);
        self.migrations = base.migrations;
        self.absent_tables.extend(base.absent_tables);
        self.rules = base.rules;
        for rule in &mut self.rules {
            rule.of_base = true;
        }
        for module in &mut self.migrations {
            module.of_base = true;
        }
        self.repairs = base.repairs;
        for repair in &mut self.repairs {
            repair.of_base = true;
        }
    }
}

/// The pack that `extends` names.
fn extended_pack(place: &Place, name: &str) -> Result<Mapping, MappingErrors> {
    if !pack_names().any(|known| known == name) {
        let unknown =
            MappingError::at(place, format!("there is no pack and no file called `{name}`")).with_label("not known");
        return Err(Complaints(vec![unknown.suggest(name, pack_names())]));
    }
    Mapping::pack(name)
}

/// Whether a rule came with the pack that is extended and was not written anew yet.
fn from_a_pack(rule: &Rule) -> bool {
    rule.of_base
}

/// Changes a rule of the pack: columns and keys are replaced by name, reasons are added, policies are replaced.
fn amend(file: &Arc<SourceFile>, own: &mut Rule, text: RuleText) -> Result<(), MappingError> {
    let policy = text.existing.is_some();
    super::overlay::drop_keys(file, own, &text.drop_keys)?;
    let from = Located { value: String::new(), place: own.name.place.clone() };
    let said = parts(file, own.name.clone(), Origin::Table(vec![from]), own.to.clone(), text)?;
    for (name, column) in said.columns {
        own.columns.retain(|(known, _)| !imis_schemas::same_name(&known.value, &name.value));
        // A column that was left is taken now.
        own.leave.retain(|(known, _)| !imis_schemas::same_name(&known.value, &name.value));
        own.columns.push((name, column));
    }
    for (name, key) in said.keys {
        own.keys.retain(|(known, _)| !imis_schemas::same_name(&known.value, &name.value));
        own.keys.push((name, key));
    }
    own.leave.extend(said.leave);
    own.leave_if_absent.extend(said.leave_if_absent);
    own.absent.extend(said.absent);
    for unique in said.uniques {
        own.uniques.retain(|known| !known.same_columns(&unique));
        own.uniques.push(unique);
    }
    own.after_keys |= said.after_keys;
    own.filter = said.filter.or_else(|| own.filter.take());
    own.note = said.note.or_else(|| own.note.take());
    own.tell = said.tell.or_else(|| own.tell.take());
    if policy {
        own.existing = said.existing;
    }
    Ok(())
}

/// An expression with its own place.
fn expression(file: &Arc<SourceFile>, said: Spanned<Plain>) -> Located<String> {
    let place = place_of(file, &said, 1);
    let text = said.value.0;
    Located { place: place_of_text(file, place, &text), value: text }
}

fn rule(file: &Arc<SourceFile>, name: Located<String>, text: RuleText) -> Result<Rule, MappingError> {
    let mut text = text;
    let (Some(from), Some(to)) = (text.from.take(), text.to.take()) else {
        return Err(MappingError::at(&name.place, format!("rule `{}` says no `from` or no `to`", name.value))
            .with_help("Only a rule that changes one of the extended pack's rules may leave them out."));
    };
    let from_place = place_of(file, &from, 1);
    let here = |value: String| Located { place: place_of_text(file, from_place.clone(), &value), value };
    let from = match from.value {
        ShortOr::Short(table) => Origin::Table(vec![here(table)]),
        ShortOr::Long(OriginText::Tables(tables)) => Origin::Table(tables.into_iter().map(here).collect()),
        ShortOr::Long(OriginText::Query { table: Some(table), query }) => {
            Origin::TableQuery { table: here(table), query: here(query) }
        }
        ShortOr::Long(OriginText::Query { table: None, query }) => Origin::Query(here(query)),
    };
    let to = located(file, &to);
    parts(file, name, from, to, text)
}

/// A rule of its parts, but for where its rows come from and go to.
fn parts(
    file: &Arc<SourceFile>,
    name: Located<String>,
    from: Origin,
    to: Located<String>,
    text: RuleText,
) -> Result<Rule, MappingError> {
    let mut columns = Vec::new();
    for (column, said) in text.columns.0 {
        let place = place_of(file, &said, 1);
        let here = |value: String| Located { value, place: place.clone() };
        let rule = match said.value {
            ShortOr::Short(expression) => {
                let place = place_of_text(file, place.clone(), &expression);
                ColumnRule { value: Some(Located { value: expression, place }), ..ColumnRule::default() }
            }
            ShortOr::Long(long) => ColumnRule {
                value: long.value.map(|v| expression(file, v)),
                when_missing: long.when_missing.map(|v| expression(file, v)),
                when_null: long.when_null.map(|v| (here(v.value.0), v.name)),
                why: long.why,
                loses: match long.loses {
                    None => Vec::new(),
                    Some(ShortOr::Short(one)) => vec![here(one)],
                    Some(ShortOr::Long(many)) => many.into_iter().map(here).collect(),
                },
                too_long: long.too_long,
                out_of_range: long.out_of_range,
                if_in_target: long.if_in_target,
            },
        };
        let column = located(file, &column);
        if columns
            .iter()
            .any(|(known, _): &(Located<String>, ColumnRule)| imis_schemas::same_name(&known.value, &column.value))
        {
            let error =
                MappingError::at(&column.place, format!("rule {} says twice what {} gets", name.value, column.value));
            return Err(error.with_label("the second time").with_help("Take one of the two lines out."));
        }
        columns.push((column, rule));
    }
    let mut keys = Vec::new();
    for (column, key) in text.keys.0 {
        keys.push((located(file, &column), step::key(file, key)?));
    }
    let uniques = text.uniques.into_iter().map(|said| step::unique(file, said)).collect::<Result<Vec<_>, _>>()?;
    let after_keys = match &text.after {
        None => false,
        Some(said) if said.value == "keys" => true,
        Some(said) => {
            let place = place_of(file, said, said.value.len());
            return Err(MappingError::at(&place, format!("a rule cannot run after `{}`", said.value))
                .with_help("Rules run in the order of the files; `after: keys` makes a query wait until keys hold."));
        }
    };
    if let (true, Some(said), Origin::Table(_)) = (after_keys, &text.after, &from)
        && !own_amended(&from)
    {
        let place = place_of(file, said, said.value.len());
        return Err(MappingError::at(&place, "only a query can run after the keys")
            .with_help("Rows of a table are loaded first, so that keys can be held on them."));
    }
    let reasons = |list: Ordered<String>| list.0.into_iter().map(|(c, why)| (located(file, &c), why)).collect();
    Ok(Rule {
        name,
        from,
        to,
        of_base: false,
        optional_target: text.optional_target,
        may_be_missing: text.when_missing_table,
        columns,
        leave: reasons(text.leave),
        leave_if_absent: reasons(text.leave_if_absent),
        absent: reasons(text.absent),
        filter: text.r#where.map(|f| Filter { keep: located(file, &f.keep), name: f.name, why: f.why }),
        existing: existing(file, text.existing)?,
        keys,
        uniques,
        after_keys,
        note: text.note,
        tell: text.tell.map(|tell| Tell { query: located(file, &tell.query), text: tell.text.trim().to_owned() }),
    })
}

/// Whether these are the parts of an amendment, which says nothing of where rows come from.
fn own_amended(from: &Origin) -> bool {
    matches!(from, Origin::Table(names) if names.iter().all(|name| name.value.is_empty()))
}

fn existing(file: &Arc<SourceFile>, said: Option<Spanned<ShortOr<ExistingText>>>) -> Result<Existing, MappingError> {
    let Some(said) = said else { return Ok(Existing::Refuse) };
    let place = place_of(file, &said, 1);
    match said.value {
        ShortOr::Short(word) => match word.as_str() {
            "refuse" => Ok(Existing::Refuse),
            "replace" => Ok(Existing::Replace),
            "keep" => Ok(Existing::Keep { by: Vec::new() }),
            "discard" => Ok(Existing::Discard),
            other => Err(MappingError::at(&place, format!("`{other}` is no policy for existing rows")).with_help(
                "Write refuse, replace, discard, keep, { keep: [KEY] }, { merge: [KEY] } or { update: [KEY] }.",
            )),
        },
        ShortOr::Long(said) => match said {
            ExistingText { merge: Some(by), preserve, keep: None, update: None } => {
                Ok(Existing::Merge { by, preserve })
            }
            ExistingText { merge: None, keep: Some(by), update: None, .. } => Ok(Existing::Keep { by }),
            ExistingText { merge: None, keep: None, update: Some(by), .. } if !by.is_empty() => {
                Ok(Existing::Update { by })
            }
            _ => Err(MappingError::at(&place, "a policy for existing rows is one of `merge`, `keep` and `update`")
                .with_help("Each takes the columns of the key: { update: [PolicyID] }.")),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Mapping, MappingErrors> {
        Mapping::read(("test.yaml".into(), text.into()), &|_| Err("no other file".into()), &|p, n| extended_pack(p, n))
    }

    const GOOD: &str = r#"
mapping: test/one
from: legacy
to: modular
rules:
  claims:
    from: tblClaim
    to: tblClaim
    columns:
      status: "'AC'"
      version: 1
      DateFrom: { loses: time-of-day, why: "a date there" }
      ClaimUUID: { value: ClaimUUID, when-missing: "stable_uuid('tblClaim', ClaimID)" }
    leave:
      RowID: "no meaning outside SQL Server"
    existing: { merge: [ClaimID] }
    keys:
      ICDID: { to: tblICDCodes.ICDID, broken: reject }
"#;

    #[test]
    fn a_rule_is_read_with_its_places() {
        let mapping = read(GOOD).unwrap();
        let rule = &mapping.rules[0];
        assert_eq!(rule.name.value, "claims");
        assert_eq!(rule.columns.len(), 4);
        assert_eq!(rule.columns[1].1.value.as_ref().unwrap().value, "1");
        assert_eq!(rule.columns[2].1.loses[0].value, "time-of-day");
        assert_eq!(rule.existing, Existing::Merge { by: vec!["ClaimID".into()], preserve: vec![] });
        let place = &rule.leave[0].0.place;
        assert!(place.file.text[place.offset..].starts_with("RowID"));
    }

    #[test]
    fn an_overlay_adds_replaces_and_amends() {
        let text = r#"
mapping: country/x
extends: openimis/legacy-to-modular
leave-tables: { tblPaypoints: "not needed any more" }
rules:
  claims:
    leave: { nmcNumber: "printed on paper only" }
    columns: { DateFrom: { loses: time-of-day, why: "ours" } }
  genders:
    from: tblGender
    to: tblGender
"#;
        let base = Mapping::pack("openimis/legacy-to-modular").unwrap();
        let mapping = read(text).unwrap();
        assert_eq!(mapping.rules.len(), base.rules.len());
        assert_eq!(mapping.leave_tables.len(), base.leave_tables.len() + 1);
        assert_ne!(mapping.hash, base.hash);
        let rule = |m: &Mapping, name: &str| m.rules.iter().position(|r| r.name.value == name).unwrap();
        let (ours, theirs) = (&mapping.rules[rule(&mapping, "claims")], &base.rules[rule(&base, "claims")]);
        assert_eq!((ours.leave.len(), ours.columns.len()), (theirs.leave.len() + 1, theirs.columns.len()));
        assert_eq!(ours.keys.len(), theirs.keys.len());
        assert!(mapping.rules[rule(&mapping, "genders")].keys.is_empty());
        let error = read("mapping: x\nextends: openimis/legacy-to-moduler\n").unwrap_err().to_string();
        assert!(error.contains("openimis/legacy-to-modular"), "{error}");
        let error = read("mapping: x\nrules: { a: { leave: { b: c } } }\n").unwrap_err().to_string();
        assert!(error.contains("says no `from`"), "{error}");
    }

    #[test]
    fn steps_uniques_and_repairs_are_read() {
        use crate::language::{Repeated, Step};
        let text = r#"
mapping: test/keys
rules:
  families:
    from: tblFamilies
    to: tblFamilies
    keys:
      InsureeID: { to: tblInsuree.InsureeID, broken: [{ repair: heads }, reject] }
      LocationId: { to: tblLocations.LocationId, broken: "null" }
      FamilyType: { to: tblFamilyTypes.FamilyTypeCode, broken: [spelling, { value: "'H'", name: unknown }, { "null": "ValidityTo is not null" }, reject] }
    uniques:
      - [FamilyUUID]
      - { columns: [FamilyID, LegacyID], repeated: { column: LegacyID, value: 0, name: again }, first: "ValidityTo is null" }
      - { columns: [InsureeID], repeated: keep, why: "not held" }
  heads:
    repair: tblFamilies.InsureeID
    name: head-from-members
    query: select 1
"#;
        let mapping = read(text).unwrap();
        let rule = &mapping.rules[0];
        let steps = |at: usize| rule.keys[at].1.broken.iter().map(|step| step.value.clone()).collect::<Vec<_>>();
        assert_eq!(steps(0), [Step::Repair("heads".into()), Step::Reject]);
        assert_eq!(steps(1), [Step::Null(None)]);
        assert_eq!(
            steps(2),
            [
                Step::Spelling,
                Step::Value { value: "'H'".into(), name: "unknown".into() },
                Step::Null(Some("ValidityTo is not null".into())),
                Step::Reject
            ]
        );
        let place = &rule.keys[2].1.broken[1].place;
        assert!(place.file.text[place.offset..].starts_with("{ value"));
        assert_eq!(rule.uniques[0].repeated.value, Repeated::Reject);
        let again = Repeated::Value { column: Some("LegacyID".into()), value: "0".into(), name: "again".into() };
        assert_eq!(rule.uniques[1].repeated.value, again);
        assert_eq!(rule.uniques[1].first.as_ref().unwrap().value, "ValidityTo is null");
        assert_eq!(rule.uniques[2].repeated.value, Repeated::Keep);
        assert_eq!(
            (mapping.repairs[0].name.as_str(), mapping.repairs[0].of.value.1.as_str()),
            ("head-from-members", "InsureeID")
        );
    }

    #[test]
    fn an_overlay_decides_keys_uniques_and_repairs_otherwise() {
        use crate::language::{Repeated, Step};
        let text = r#"
mapping: country/x
extends: openimis/legacy-to-modular
rules:
  families:
    keys: { InsureeID: { to: tblInsuree.InsureeID, broken: reject } }
    uniques: [{ columns: [FamilyUUID], repeated: keep }]
  heads: { repair: tblFamilies.InsureeID, name: ours, query: "select 1" }
"#;
        let mapping = read(text).unwrap();
        let base = Mapping::pack("openimis/legacy-to-modular").unwrap();
        assert_eq!(mapping.repairs.len(), base.repairs.len());
        assert!(mapping.repairs.iter().any(|repair| repair.name == "ours"));
        let rule = mapping.rules.iter().find(|rule| rule.name.value == "families").unwrap();
        let head = rule.keys.iter().find(|(column, _)| column.value == "InsureeID").unwrap();
        assert_eq!(head.1.broken[0].value, Step::Reject);
        let uuid: Vec<_> = rule.uniques.iter().filter(|unique| unique.columns[0].value == "FamilyUUID").collect();
        assert_eq!((uuid.len(), &uuid[0].repeated.value), (1, &Repeated::Keep));
    }

    #[test]
    fn what_is_not_understood_is_shown_with_its_line() {
        let cases = [
            (GOOD.replace("    leave:", "    leaves:"), "14", "leave"),
            (GOOD.replace("existing: { merge: [ClaimID] }", "existing: reuse"), "16", "replace"),
            (GOOD.replace("to: tblICDCodes.ICDID,", "to: tblICDCodes,"), "18", "TABLE.COLUMN"),
            (GOOD.replace("broken: reject", "broken: rejct"), "18", "reject"),
            (GOOD.replace("broken: reject", "broken: [spelling, { valu: 1, name: x }]"), "18", "`value`"),
            (GOOD.replace("broken: reject", "broken: { value: \"'A'\" }"), "18", "needs a name"),
            (GOOD.replace("broken: reject", "broken: null"), "18", "needs its quotes"),
            (GOOD.replace("broken: reject", "broken: []"), "18", "nothing is said"),
            (format!("{GOOD}    uniques: [{{ columns: [A], repeated: kep }}]\n"), "19", "keep"),
            (format!("{GOOD}    uniques: [{{ columns: [A], repeated: {{ value: 1 }} }}]\n"), "19", "name: NAME"),
            (format!("{GOOD}    after: keys\n"), "19", "only a query"),
            (format!("{GOOD}    after: lunch\n"), "19", "after: keys"),
            (
                format!("{GOOD}  heads: {{ repair: tblFamilies, name: x, query: select 1 }}\n"),
                "19",
                "repair: TABLE.COLUMN",
            ),
            (format!("{GOOD}  heads: {{ repair: tblFamilies.InsureeID, query: select 1 }}\n"), "19", "no `name`"),
        ];
        for (text, line, hint) in cases {
            let error = read(&text).unwrap_err().to_string();
            assert!(error.contains(&format!("test.yaml:{line}:")) && error.contains(hint), "{error}");
        }
    }
}

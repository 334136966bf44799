//! Packs: those that the program carries, those of a country, and several of them at once.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use imis_schemas::document::{self, Complaints, Place, SourceFile, place_of};
use sha2::{Digest, Sha256};

use super::model::{Check, Pack};
use super::parse;
use super::text::FileText;
use super::{CheckError, CheckErrors};
use crate::outcome::{PackUsed, SwitchedOff};

/// The packs that the program carries: name, and files with their texts. The first file is the header.
const PACKS: &[(&str, &[(&str, &str)])] = &include!("../../packs/index.in");

/// The names of the packs that the program carries.
pub fn pack_names() -> impl Iterator<Item = &'static str> {
    PACKS.iter().map(|(name, _)| *name)
}

/// Where a pack comes from, for the files that it names.
enum Home<'a> {
    Shipped(&'a [(&'a str, &'a str)]),
    Folder(&'a Path, &'a [PathBuf]),
}

impl Pack {
    /// Reads a pack that the program carries.
    ///
    /// # Errors
    /// When there is no such pack, or it does not parse.
    pub fn shipped(name: &str) -> Result<Self, CheckErrors> {
        let Some((_, files)) = PACKS.iter().find(|(known, _)| *known == name) else {
            let error = CheckError::general(format!("there is no pack called `{name}`"));
            let known = format!("Known packs: {}.", pack_names().collect::<Vec<_>>().join(", "));
            let error = match document::closest(name, pack_names()) {
                Some(near) => error.with_help(format!("Did you mean `{near}`? {known}")),
                None => error.with_help(known),
            };
            return Err(Complaints(vec![error]));
        };
        let Some(((header, text), rest)) = files.split_first() else { return Err(Complaints(Vec::new())) };
        Pack::read(SourceFile { name: (*header).to_owned(), text: (*text).to_owned() }, &Home::Shipped(rest))
    }

    /// Reads a pack from its first file; the files that it names and the packs that it extends lie beside it, or are shipped.
    ///
    /// # Errors
    /// When a file cannot be read or does not parse; all complaints at once.
    pub fn open(path: &Path) -> Result<Self, CheckErrors> {
        Pack::open_within(path, &[])
    }

    fn open_within(path: &Path, above: &[PathBuf]) -> Result<Self, CheckErrors> {
        let text = std::fs::read_to_string(path)
            .map_err(|e| Complaints(vec![CheckError::general(format!("{}: {e}", path.display()))]))?;
        let real = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let chain: Vec<PathBuf> = above.iter().cloned().chain([real]).collect();
        let folder = path.parent().unwrap_or(Path::new("."));
        Pack::read(SourceFile { name: path.display().to_string(), text }, &Home::Folder(folder, &chain))
    }

    fn read(header: SourceFile, home: &Home<'_>) -> Result<Self, CheckErrors> {
        let mut errors = Vec::new();
        let mut hash = Sha256::new();
        hash.update(header.text.as_bytes());
        let file = Arc::new(header);
        let head: FileText = document::parse(&file).map_err(|e| Complaints(vec![e]))?;
        let mut bases = Vec::new();
        for name in &head.extends.0 {
            let base = base(&place_of(&file, name, name.value.len()), &name.value, home)?;
            hash.update(base.hash.as_bytes());
            bases.push(base);
        }
        let mut pack = Pack {
            name: head.pack.clone().unwrap_or_default(),
            title: head.title.clone().unwrap_or_default(),
            parameters: Vec::new(),
            off: Vec::new(),
            checks: Vec::new(),
            hash: String::new(),
            bases,
        };
        if pack.name.is_empty() {
            errors.push(CheckError::general(format!("{} has no line `pack: NAME`", file.name)));
        }
        let files = head.files.clone();
        pack.add(&file, head, &mut errors);
        for name in files {
            match other(home, &name) {
                Err(error) => errors.push(CheckError::general(error)),
                Ok(text) => {
                    hash.update(text.as_bytes());
                    let file = Arc::new(SourceFile { name, text });
                    match document::parse(&file) {
                        Err(error) => errors.push(error),
                        Ok(FileText { pack: Some(_), .. } | FileText { title: Some(_), .. }) => {
                            let what = format!("{} is a further file of a pack and says `pack` or `title`", file.name);
                            errors.push(CheckError::general(what).with_help("These stand in the pack's first file."));
                        }
                        Ok(content) if !content.extends.0.is_empty() || !content.files.is_empty() => {
                            let what =
                                format!("{} is a further file of a pack and says `extends` or `files`", file.name);
                            errors.push(CheckError::general(what).with_help("These stand in the pack's first file."));
                        }
                        Ok(content) => pack.add(&file, content, &mut errors),
                    }
                }
            }
        }
        pack.known_parameters(&mut errors);
        pack.hash = hash.finalize().iter().map(|b| format!("{b:02x}")).collect();
        if errors.is_empty() { Ok(pack) } else { Err(Complaints(errors)) }
    }

    fn add(&mut self, file: &Arc<SourceFile>, content: FileText, errors: &mut Vec<CheckError>) {
        for (name, text) in &content.parameters.0 {
            match parse::parameter(file, name, text) {
                Ok(parameter) => self.parameters.push(parameter),
                Err(error) => errors.push(error),
            }
        }
        for (id, why) in content.off.0 {
            let known = self.bases.iter().flat_map(Pack::all).map(|check| check.about.id.as_str());
            if !known.clone().any(|known| known == id.value) {
                let place = place_of(file, &id, id.value.len());
                let error =
                    CheckError::at(&place, format!("no check is called `{}`, so none is switched off", id.value));
                errors.push(error.with_label("not known").suggest(&id.value, known));
                continue;
            }
            self.off.push(SwitchedOff { id: id.value, why });
        }
        for said in content.checks {
            let id = said.value.id.as_ref().map(|id| id.value.clone()).unwrap_or_default();
            let name = if self.name.is_empty() { file.name.clone() } else { self.name.clone() };
            let known = self.bases.iter().flat_map(Pack::all).find(|check| check.about.id == id);
            match parse::check(file, &name, said, known) {
                Err(error) => errors.push(error),
                Ok(check) => match self.checks.iter().find(|own| own.about.id == check.about.id) {
                    Some(_) => errors.push(
                        CheckError::at(&check.place, format!("a second check is called `{id}`"))
                            .with_help("Give each check an id of its own."),
                    ),
                    None => self.checks.push(check),
                },
            }
        }
    }

    /// An overlay sets what its bases know, or what its own checks use: anything else is a typo.
    fn known_parameters(&self, errors: &mut Vec<CheckError>) {
        if self.bases.is_empty() {
            return;
        }
        let bases = || self.bases.iter().flat_map(Pack::each).flat_map(|base| &base.parameters);
        let used: String = self.checks.iter().map(Check::texts).collect();
        for parameter in &self.parameters {
            let name = &parameter.name.value;
            if bases().any(|known| known.name.value == *name) || used.contains(&format!("${{{name}}}")) {
                continue;
            }
            let error = CheckError::at(&parameter.name.place, format!("no check uses a parameter called `{name}`"));
            errors.push(error.with_label("not known").suggest(name, bases().map(|known| known.name.value.as_str())));
        }
    }

    /// All checks, those of the extended packs first, in the way in which this pack changes them; switched off ones are among them.
    pub fn all(&self) -> impl Iterator<Item = &Check> + Clone {
        let inherited: Vec<&Check> = self.bases.iter().flat_map(|base| base.all().collect::<Vec<_>>()).collect();
        let own = |check: &&Check| self.checks.iter().find(|own| own.about.id == check.about.id);
        let mut all: Vec<&Check> = inherited.iter().map(|check| own(check).unwrap_or(check)).collect();
        let news = self.checks.iter().filter(|check| inherited.iter().all(|known| known.about.id != check.about.id));
        all.extend(news);
        all.into_iter()
    }

    fn each(&self) -> Vec<&Pack> {
        let mut packs: Vec<&Pack> = self.bases.iter().flat_map(Pack::each).collect();
        packs.push(self);
        packs
    }
}

/// The pack that another extends: one beside it, or a shipped one.
fn base(place: &Place, name: &str, home: &Home<'_>) -> Result<Pack, CheckErrors> {
    if let Home::Folder(folder, chain) = home {
        let file = folder.join(name);
        if !pack_names().any(|known| known == name) && file.is_file() {
            let real = file.canonicalize().unwrap_or_else(|_| file.clone());
            if chain.contains(&real) {
                let error =
                    CheckError::at(place, "the pack extends itself").with_label("leads back to where it came from");
                return Err(Complaints(vec![error]));
            }
            return Pack::open_within(&file, chain);
        }
    }
    if !pack_names().any(|known| known == name) {
        let error =
            CheckError::at(place, format!("there is no pack and no file called `{name}`")).with_label("not known");
        return Err(Complaints(vec![error.suggest(name, pack_names())]));
    }
    Pack::shipped(name)
}

fn other(home: &Home<'_>, name: &str) -> Result<String, String> {
    match home {
        Home::Shipped(files) => {
            let found = files.iter().find(|(known, _)| *known == name);
            found.map(|(_, text)| (*text).to_owned()).ok_or_else(|| format!("the pack has no file {name}"))
        }
        Home::Folder(folder, _) => {
            let path = folder.join(name);
            std::fs::read_to_string(&path).map_err(|e| format!("{}: {e}", path.display()))
        }
    }
}

/// Several packs together: what is run.
#[derive(Clone, Debug, Default)]
pub struct Packs {
    /// The packs, each once, bases before what extends them.
    pub packs: Vec<Pack>,
    /// The checks to be run, in order.
    pub checks: Vec<Check>,
    /// What is switched off.
    pub off: Vec<SwitchedOff>,
}

impl Packs {
    /// Reads packs by name, or from files. A pack that extends another brings it along, changed.
    ///
    /// # Errors
    /// When one cannot be read, or two checks of different packs have the same id.
    pub fn gather(names: &[String]) -> Result<Self, CheckErrors> {
        let mut given = Vec::new();
        for name in names {
            let path = Path::new(name);
            let shipped = pack_names().any(|known| known == name) || !path.is_file();
            given.push(if shipped { Pack::shipped(name)? } else { Pack::open(path)? });
        }
        // A base that an overlay brings along changed is not run beside it as it was.
        let extended: Vec<String> = given
            .iter()
            .flat_map(|pack| pack.bases.iter().flat_map(Pack::each))
            .map(|base| base.name.clone())
            .collect();
        given.retain(|pack| !extended.contains(&pack.name));
        let mut packs = Packs::default();
        let mut seen: HashMap<String, String> = HashMap::new();
        for pack in given {
            for check in pack.all() {
                if let Some(other) = seen.insert(check.about.id.clone(), check.about.pack.clone()) {
                    if other == check.about.pack {
                        continue;
                    }
                    let text =
                        format!("{} and {} both have a check called `{}`", other, check.about.pack, check.about.id);
                    return Err(Complaints(vec![CheckError::at(&check.place, text)]));
                }
                packs.checks.push(check.clone());
            }
            packs.off.extend(pack.each().iter().flat_map(|pack| pack.off.iter().cloned()));
            packs.packs.push(pack);
        }
        let off: Vec<String> = packs.off.iter().map(|off| off.id.clone()).collect();
        packs.checks.retain(|check| !off.contains(&check.about.id));
        Ok(packs)
    }

    /// Keeps the checks with these ids or tags, and drops the others.
    ///
    /// # Errors
    /// When a word is neither.
    pub fn only(&mut self, words: &[String]) -> Result<(), CheckErrors> {
        let is = |check: &Check, word: &str| {
            check.about.id.eq_ignore_ascii_case(word)
                || check.about.tags.iter().any(|tag| tag.eq_ignore_ascii_case(word))
        };
        for word in words {
            if !self.checks.iter().any(|check| is(check, word)) {
                let known =
                    self.checks.iter().flat_map(|c| c.about.tags.iter().chain([&c.about.id])).map(String::as_str);
                let error = match self.off.iter().find(|off| off.id.eq_ignore_ascii_case(word)) {
                    Some(off) => CheckError::general(format!("{} is switched off: {}", off.id, off.why)),
                    None => CheckError::general(format!("no check and no tag is called `{word}`")).suggest(word, known),
                };
                return Err(Complaints(vec![error]));
            }
        }
        self.checks.retain(|check| words.iter().any(|word| is(check, word)));
        Ok(())
    }

    /// Drops the checks with these ids or tags.
    ///
    /// # Errors
    /// When a word is neither.
    pub fn skip(&mut self, words: &[String]) -> Result<(), CheckErrors> {
        let mut others = self.clone();
        if !words.is_empty() {
            others.only(words)?;
            self.checks.retain(|check| others.checks.iter().all(|other| other.about.id != check.about.id));
        }
        Ok(())
    }

    /// Takes those that are switched off in again, for somebody who wants to know what they are.
    pub fn with_switched_off(&mut self) {
        let all: Vec<Check> = self.packs.iter().flat_map(|pack| pack.all().cloned().collect::<Vec<_>>()).collect();
        self.checks.extend(all.into_iter().filter(|check| self.off.iter().any(|off| off.id == check.about.id)));
    }

    /// The parameters that the packs set.
    pub fn parameters(&self) -> impl Iterator<Item = &super::Parameter> {
        let all = || self.packs.iter().flat_map(Pack::each);
        // What a country says of a parameter counts more than what any pack says that it extends, or that stands beside it.
        let plain = all().filter(|pack| pack.bases.is_empty());
        plain.chain(all().filter(|pack| !pack.bases.is_empty())).flat_map(|pack| &pack.parameters)
    }

    /// The packs, for a report.
    pub fn used(&self) -> Vec<PackUsed> {
        let used =
            |pack: &Pack| PackUsed { name: pack.name.clone(), title: pack.title.clone(), hash: pack.hash.clone() };
        self.packs.iter().flat_map(Pack::each).map(used).collect()
    }
}

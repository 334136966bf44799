//! One table: both sides as piles of hashes, merged; then a second look at what differs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt32Array};
use arrow::compute::take;
use arrow::record_batch::RecordBatch;
use futures::{StreamExt, TryStreamExt, stream};
use imis_databases::{Error, KeyRange};

use super::canonical::shown;
use super::form::{Form, Identity, unordered};
use super::outcome::{CellDifference, Difference, DifferenceKind};
use super::pile::{Pile, Record, Sorted};
use super::reasons::{Reasons, Row};
use super::recorded::flat;
use super::side::{Lost, Side};
use super::tally::Figures;
use super::turns::Turns;
use crate::functions::cell_text;
use crate::run::Progress;

/// How many rows are looked at again at once.
const SLICE: usize = 4096;
/// How many rows of a range are looked at again at most, where the range can be read by itself.
const AGAIN: usize = 64 * SLICE;
/// The same where every look reads the whole table.
const AGAIN_WHOLE: usize = 4 * SLICE;
/// How many rows of one key are told apart.
const ALIKE: usize = 8;

/// Everything that the comparison of a table needs.
pub(crate) struct Comparison {
    pub(crate) form: Arc<Form>,
    pub(crate) from: Side,
    pub(crate) to: Side,
    /// The target's rows before the run.
    pub(crate) before: Option<Side>,
    pub(crate) reasons: Reasons,
    /// For each column of the form, the column of the rows as read, by rule.
    pub(crate) plain: Vec<HashMap<usize, usize>>,
    /// How many differences are kept.
    pub(crate) limit: usize,
    pub(crate) progress: Arc<dyn Progress>,
}

/// What a range, or a whole table, came to.
#[derive(Default)]
pub(crate) struct Found {
    pub(crate) from_rows: u64,
    pub(crate) to_rows: u64,
    pub(crate) equal: u64,
    pub(crate) unexplained: BTreeMap<DifferenceKind, u64>,
    /// Of these, rows of `from` that no key names.
    nameless: BTreeMap<DifferenceKind, u64>,
    pub(crate) explained: BTreeMap<String, u64>,
    pub(crate) differences: Vec<Difference>,
    /// Differences that were gone at the second look.
    pub(crate) settled: u64,
    /// Rows that the mapping's condition left behind.
    pub(crate) filtered: u64,
    /// Rows that the source gave and the mapping did not pass on.
    pub(crate) not_passed: u64,
    pub(crate) losses: BTreeMap<(String, String), u64>,
    /// Rows that a query of the mapping made.
    pub(crate) made_rows: u64,
    /// The columns of the totals.
    pub(crate) columns: Vec<String>,
    /// Totals by column: as read, as mapped, as the target has them.
    pub(crate) read: Vec<Figures>,
    pub(crate) there: Vec<Figures>,
}

impl Found {
    pub(crate) fn add(&mut self, other: Found, limit: usize) {
        self.from_rows += other.from_rows;
        self.to_rows += other.to_rows;
        self.equal += other.equal;
        self.settled += other.settled;
        self.filtered += other.filtered;
        self.not_passed += other.not_passed;
        self.made_rows += other.made_rows;
        if self.columns.is_empty() {
            self.columns = other.columns;
        }
        for (mine, theirs) in [(&mut self.unexplained, other.unexplained), (&mut self.nameless, other.nameless)] {
            for (kind, count) in theirs {
                *mine.entry(kind).or_default() += count;
            }
        }
        for (name, count) in other.explained {
            *self.explained.entry(name).or_default() += count;
        }
        for (name, count) in other.losses {
            *self.losses.entry(name).or_default() += count;
        }
        for (mine, theirs) in [(&mut self.read, other.read), (&mut self.there, other.there)] {
            mine.resize(mine.len().max(theirs.len()), Figures::default());
            mine.iter_mut().zip(&theirs).for_each(|(figures, more)| figures.merge(more));
        }
        for difference in other.differences {
            self.keep(difference, limit);
        }
    }

    /// Counts a difference and keeps it, if there is room: the unexplained go first.
    fn note(&mut self, difference: Difference, rows: u64, limit: usize) {
        match &difference.explained {
            Some(name) => *self.explained.entry(name.clone()).or_default() += rows,
            None => *self.unexplained.entry(difference.kind).or_default() += rows,
        }
        self.keep(difference, limit);
    }

    fn keep(&mut self, difference: Difference, limit: usize) {
        if self.differences.len() < limit {
            self.differences.push(difference);
        } else if difference.explained.is_none()
            && let Some(place) = self.differences.iter().rposition(|kept| kept.explained.is_some())
        {
            self.differences.remove(place);
            self.differences.push(difference);
        }
    }
}

/// One side of a range, read to its end.
struct Filled {
    pile: Pile,
    rows: u64,
    read: u64,
    filtered: u64,
    lost: Vec<Lost>,
    losses: BTreeMap<(String, String), u64>,
    /// Rows that a query of the mapping made.
    made: u64,
    /// Totals of the rows as they were read.
    figures: Vec<Figures>,
}

/// Which side.
#[derive(Clone, Copy, PartialEq, Eq)]
enum End {
    From,
    To,
}

impl Comparison {
    fn side(&self, end: End) -> &Side {
        match end {
            End::From => &self.from,
            End::To => &self.to,
        }
    }

    /// Compares a range; one that is the whole, in so many parts at once at most.
    async fn range(self: Arc<Self>, range: KeyRange, parts: usize) -> Result<Found, Error> {
        let spawn = |end: End| {
            let (me, range) = (Arc::clone(&self), range.clone());
            tokio::spawn(async move { me.fill(end, &range, parts).await })
        };
        let (from, to) = (spawn(End::From), spawn(End::To));
        let ended = |e: tokio::task::JoinError| Error::failed("comparing a range broke off").caused_by(e);
        let (from, to) = (from.await.map_err(ended)?, to.await.map_err(ended)?);
        let (mut from, mut to) = (from?, to?);
        let mut found = Found {
            from_rows: from.rows,
            to_rows: to.rows,
            filtered: from.filtered,
            not_passed: from.read.saturating_sub(from.rows),
            losses: std::mem::take(&mut from.losses),
            read: std::mem::take(&mut from.figures),
            there: std::mem::take(&mut to.figures),
            made_rows: from.made,
            columns: self.form.columns.iter().map(|column| column.name.clone()).collect(),
            ..Found::default()
        };
        for (end, lost) in [(End::From, std::mem::take(&mut from.lost)), (End::To, std::mem::take(&mut to.lost))] {
            for lost in lost {
                self.note_lost(end, lost, &mut found);
            }
        }
        if from.pile.holds_the_same(&to.pile) {
            found.equal += from.pile.len();
            return Ok(found);
        }
        let ids = self.merge(from.pile.sorted()?, to.pile.sorted()?, &mut found)?;
        for slice in ids.chunks(SLICE) {
            self.look_again(slice, &range, parts, &mut found).await?;
        }
        Ok(found)
    }

    async fn fill(&self, end: End, range: &KeyRange, parts: usize) -> Result<Filled, Error> {
        let width = self.form.columns.len();
        let mut filled = Filled {
            pile: Pile::new(),
            rows: 0,
            read: 0,
            filtered: 0,
            lost: Vec::new(),
            losses: BTreeMap::new(),
            made: 0,
            figures: vec![Figures::default(); width],
        };
        let mut sheets = self.side(end).sheets(range, &self.form, parts);
        while let Some(sheet) = sheets.next().await {
            let sheet = sheet?;
            self.form.records(&sheet.batch, |_, record| filled.pile.push(record))?;
            if let Some(raw) = &sheet.raw {
                for ((at, figures), plain) in filled.figures.iter_mut().enumerate().zip(&self.plain) {
                    let column = match sheet.rule {
                        Some(rule) => plain.get(&rule).copied(),
                        None => Some(at),
                    };
                    if let Some(array) = column.and_then(|at| raw.columns().get(at)) {
                        figures.take(array);
                    }
                }
            }
            let rows = sheet.batch.num_rows() as u64;
            if sheet.raw.is_none() {
                filled.made += rows;
            }
            filled.rows += rows;
            filled.read += sheet.read;
            filled.filtered += sheet.filtered;
            filled.lost.extend(sheet.lost);
            for (name, count) in sheet.losses {
                *filled.losses.entry(name).or_default() += count;
            }
            self.progress.rows(&self.form.table, sheet.read);
        }
        Ok(filled)
    }

    fn note_lost(&self, end: End, lost: Lost, found: &mut Found) {
        let key = flat(lost.key.iter().map(|(_, value)| value.as_str()));
        let explained = match end {
            End::From => self.reasons.lost(lost.rule, &key).map(str::to_owned),
            End::To => None,
        };
        let difference = Difference {
            table: self.form.table.clone(),
            rule: lost.rule.and_then(|rule| self.reasons.rules.get(rule).cloned()),
            kind: DifferenceKind::Unreadable,
            key: lost.key,
            cells: vec![CellDifference { column: lost.column, from: None, to: None }],
            from_times: u64::from(end == End::From),
            to_times: u64::from(end == End::To),
            explained,
            why: Some(lost.reason),
        };
        self.note(difference, 1, found);
    }

    /// Counts a difference; apart, where a reject without key may be its reason.
    fn note(&self, difference: Difference, rows: u64, found: &mut Found) {
        let is_of_from = difference.from_times > difference.to_times;
        if difference.explained.is_none() && is_of_from && self.reasons.is_nameless(&difference) {
            *found.nameless.entry(difference.kind).or_default() += rows;
        }
        found.note(difference, rows, self.limit);
    }

    /// Rejects that name no row explain as many rows as they are, and no more: first those that cannot be read or mapped now
    /// either, then rows that are missing.
    fn explain_nameless(&self, found: &mut Found) {
        let mut left = self.reasons.nameless();
        for kind in [DifferenceKind::Unreadable, DifferenceKind::Doubled, DifferenceKind::Missing] {
            let may_be = match self.form.identity {
                // Married rows are missing no more, and of those that were not looked at again none has a key either.
                Identity::Content if kind == DifferenceKind::Missing => &found.unexplained,
                _ => &found.nameless,
            };
            let explained = left.min(may_be.get(&kind).copied().unwrap_or_default());
            if explained == 0 {
                continue;
            }
            left -= explained;
            let count = found.unexplained.entry(kind).or_default();
            *count = count.saturating_sub(explained);
            *found.explained.entry("rejected".to_owned()).or_default() += explained;
            let mut to_tell = explained;
            for difference in found.differences.iter_mut().filter(|d| d.kind == kind && d.explained.is_none()) {
                let rows = difference.from_times.saturating_sub(difference.to_times);
                if (1..=to_tell).contains(&rows) && self.reasons.is_nameless(difference) {
                    to_tell -= rows;
                    difference.explained = Some("rejected".to_owned());
                    let why = "a row without key was rejected; which one cannot be told";
                    difference.why.get_or_insert_with(|| why.to_owned());
                }
            }
        }
    }

    /// Walks both piles at once; counts what is equal and gives the ids of what is not.
    fn merge(&self, mut from: Sorted, mut to: Sorted, found: &mut Found) -> Result<Vec<u128>, Error> {
        let again = if self.can_split() { AGAIN } else { AGAIN_WHOLE };
        let mut ids = Vec::new();
        let (mut a, mut b) = (from.next()?, to.next()?);
        while a.is_some() || b.is_some() {
            // Nearly every row is equal and there once.
            if let (Some(one), Some(other)) = (a, b)
                && one == other
            {
                (a, b) = (from.next()?, to.next()?);
                let more = |next: Option<Record>| next.is_some_and(|next| next.id == one.id);
                if !more(a) && !more(b) {
                    found.equal += 1;
                    continue;
                }
                let of_from = group(one.id, Some(one), &mut a, &mut from)?;
                let of_to = group(one.id, Some(other), &mut b, &mut to)?;
                self.unequal(one.id, &of_from, &of_to, again, &mut ids, found);
                continue;
            }
            let id = a.into_iter().chain(b).map(|record| record.id).min().unwrap_or_default();
            let of_from = group(id, None, &mut a, &mut from)?;
            let of_to = group(id, None, &mut b, &mut to)?;
            self.unequal(id, &of_from, &of_to, again, &mut ids, found);
        }
        Ok(ids)
    }

    fn unequal(
        &self,
        id: u128,
        from: &[(u128, u64)],
        to: &[(u128, u64)],
        again: usize,
        ids: &mut Vec<u128>,
        found: &mut Found,
    ) {
        let (equal, pairs) = pairs(self.form.identity == Identity::Content, from, to);
        if pairs.is_empty() {
            found.equal += equal;
        } else if ids.len() < again {
            ids.push(id);
        } else {
            found.equal += equal;
            for pair in pairs {
                *found.unexplained.entry(pair.kind).or_default() += pair.rows;
            }
        }
    }

    fn can_split(&self) -> bool {
        matches!(self.form.identity, Identity::Whole(_)) && self.from.split().is_some() && self.to.split().is_some()
    }

    /// The stretches of the key in which these rows are.
    fn stretches(&self, ids: &[u128], range: &KeyRange) -> Vec<KeyRange> {
        let keys: Option<Vec<i64>> = ids.iter().map(|id| unordered(*id)).collect();
        let Some(keys) = keys.filter(|_| self.can_split()) else { return vec![range.clone()] };
        let mut ends: Vec<(i64, i64)> = Vec::new();
        for key in keys {
            match ends.last_mut() {
                Some((_, last)) if key.saturating_sub(*last) < 2_000 => *last = key,
                _ => ends.push((key, key)),
            }
        }
        if ends.len() > 32
            && let (Some((first, _)), Some((_, last))) = (ends.first().copied(), ends.last().copied())
        {
            ends = vec![(first, last)];
        }
        ends.into_iter()
            .map(|(first, last)| KeyRange { column: Some(String::new()), from: Some(first), to: last.checked_add(1) })
            .collect()
    }

    async fn look(
        &self,
        side: &Side,
        stretches: &[KeyRange],
        parts: usize,
        ids: &HashSet<u128>,
    ) -> Result<Look, Error> {
        let mut look = Look::default();
        for stretch in stretches {
            let mut sheets = side.sheets(stretch, &self.form, parts);
            while let Some(sheet) = sheets.next().await {
                let sheet = sheet?;
                let mut rows = Vec::new();
                self.form.records(&sheet.batch, |row, record| {
                    if ids.contains(&record.id) {
                        let alike = look.rows.entry(record.id).or_default();
                        if let Some(seen) = alike.iter_mut().find(|seen| seen.hash == record.hash) {
                            seen.times += 1;
                        } else if alike.len() < ALIKE {
                            alike.push(Seen { hash: record.hash, times: 1, sheet: look.sheets.len(), row: rows.len() });
                            rows.push(u32::try_from(row).unwrap_or(u32::MAX));
                        }
                    }
                    Ok(())
                })?;
                if !rows.is_empty() {
                    look.sheets.push(Picked::new(&sheet.batch, &sheet.keys, sheet.rule, rows)?);
                }
            }
        }
        Ok(look)
    }

    /// Reads the rows that differ once more, finds what about them differs, and why.
    async fn look_again(&self, slice: &[u128], range: &KeyRange, parts: usize, found: &mut Found) -> Result<(), Error> {
        let ids: HashSet<u128> = slice.iter().copied().collect();
        let stretches = self.stretches(slice, range);
        let from = self.look(&self.from, &stretches, parts, &ids).await?;
        let to = self.look(&self.to, &stretches, parts, &ids).await?;
        let before = match &self.before {
            Some(side) => self.look(side, &[KeyRange::whole()], 1, &ids).await?,
            None => Look::default(),
        };
        for id in slice {
            let (of_from, of_to) = (from.of(*id), to.of(*id));
            let counts = |seen: &[Seen]| seen.iter().map(|s| (s.hash, s.times)).collect::<Vec<_>>();
            let (equal, pairs) = pairs(self.form.identity == Identity::Content, &counts(of_from), &counts(of_to));
            found.equal += equal;
            if pairs.is_empty() {
                found.settled += 1;
            }
            for pair in pairs {
                let cell = |look: &Look, seen: &[Seen], hash: Option<u128>| -> Option<(RecordBatch, usize, usize)> {
                    let seen = seen.iter().find(|seen| Some(seen.hash) == hash)?;
                    look.sheets.get(seen.sheet).map(|picked| (picked.batch.clone(), seen.sheet, seen.row))
                };
                let a = cell(&from, of_from, pair.from);
                let b = cell(&to, of_to, pair.to);
                let was = before.of(*id).first();
                let was = was.and_then(|seen| before.sheets.get(seen.sheet).map(|p| (p.batch.clone(), seen)));
                let mut difference = self.difference(&pair, a.as_ref(), b.as_ref());
                let picked = a.as_ref().and_then(|(_, sheet, row)| from.sheets.get(*sheet).map(|p| (p, *row)));
                let mut row = Row {
                    rule: picked.and_then(|(picked, _)| picked.rule),
                    target_key: flat(difference.key.iter().map(|(_, value)| value.as_str())),
                    source_key: picked.map(|(picked, row)| picked.key(row)).unwrap_or_default(),
                    is_before: was.as_ref().is_some_and(|(_, seen)| Some(seen.hash) == pair.to),
                    as_before: Vec::new(),
                };
                if let (Some((was, seen)), Some((now, _, at))) = (&was, &b) {
                    row.as_before = self.equal_columns(was, seen.row, now, *at)?;
                }
                difference.rule = row.rule.and_then(|rule| self.reasons.rules.get(rule).cloned());
                self.reasons.explain(&mut difference, &row);
                self.note(difference, pair.rows, found);
            }
        }
        Ok(())
    }

    fn equal_columns(
        &self,
        one: &RecordBatch,
        row: usize,
        other: &RecordBatch,
        at: usize,
    ) -> Result<Vec<String>, Error> {
        let (a, b) = (self.form.cells(one)?, self.form.cells(other)?);
        let bytes = |cells: &super::cells::Cells<'_>, row| {
            let mut out = Vec::new();
            cells.put(row, &mut out);
            out
        };
        let columns = self.form.columns.iter().zip(a.iter().zip(&b));
        Ok(columns.filter(|(_, (a, b))| bytes(a, row) == bytes(b, at)).map(|(c, _)| c.name.clone()).collect())
    }

    fn difference(
        &self,
        pair: &Pair,
        from: Option<&(RecordBatch, usize, usize)>,
        to: Option<&(RecordBatch, usize, usize)>,
    ) -> Difference {
        let equal = match (from, to) {
            (Some((a, _, row)), Some((b, _, at))) => self.equal_columns(a, *row, b, *at).unwrap_or_default(),
            _ => Vec::new(),
        };
        let value = |end: Option<&(RecordBatch, usize, usize)>, at: usize| {
            end.and_then(|(batch, _, row)| batch.columns().get(at).and_then(|array| shown(array, *row)))
        };
        let key = self.form.key().iter().filter_map(|at| {
            let name = self.form.columns.get(*at)?.name.clone();
            Some((name, value(from.or(to), *at).unwrap_or_default()))
        });
        let is_told = |name: &str| match (&self.form.identity, pair.kind) {
            (Identity::Content, _) => true,
            (_, DifferenceKind::Changed) => !equal.iter().any(|equal| equal == name),
            _ => false,
        };
        let cells = self.form.columns.iter().enumerate().filter(|(_, column)| is_told(&column.name));
        let cells = cells.map(|(at, column)| CellDifference {
            column: column.name.clone(),
            from: value(from, at),
            to: value(to, at),
        });
        Difference {
            table: self.form.table.clone(),
            rule: None,
            kind: pair.kind,
            key: key.collect(),
            cells: cells.collect(),
            from_times: pair.from_times,
            to_times: pair.to_times,
            explained: None,
            why: None,
        }
    }
}

/// Compares all ranges of a table, as many at once as there are places; each in so many parts at once at most.
pub(crate) async fn compare(
    comparison: Arc<Comparison>,
    ranges: Vec<KeyRange>,
    turns: &Turns,
    parts: usize,
) -> Result<Found, Error> {
    let limit = comparison.limit;
    let is_content = comparison.form.identity == Identity::Content;
    let each = Arc::clone(&comparison);
    let mut found = stream::iter(ranges.into_iter().map(move |range| Ok::<_, Error>((Arc::clone(&each), range))))
        .map_ok(|(comparison, range): (Arc<Comparison>, KeyRange)| async move {
            let turn = turns.take(parts).await;
            comparison.range(range, turn.places()).await
        })
        .try_buffer_unordered(turns.places())
        .try_fold(Found::default(), |mut all, found| async move {
            all.add(found, limit);
            Ok(all)
        })
        .await?;
    if is_content {
        marry(&mut found);
    }
    comparison.explain_nameless(&mut found);
    found.differences.sort_by_cached_key(|d| (d.explained.is_some(), numbers_first(&d.key), d.kind));
    Ok(found)
}

fn numbers_first(key: &[(String, String)]) -> Vec<(i64, String)> {
    key.iter().map(|(_, value)| (value.parse().unwrap_or(i64::MAX), value.clone())).collect()
}

/// Rows without a key: a missing and an extra one that are alike but for few cells are one changed row.
fn marry(found: &mut Found) {
    let (missing, extra): (Vec<usize>, Vec<usize>) = {
        let of = |kind| {
            let all = found.differences.iter().enumerate();
            all.filter(|(_, d)| d.kind == kind && d.explained.is_none()).map(|(at, _)| at).collect::<Vec<_>>()
        };
        (of(DifferenceKind::Missing), of(DifferenceKind::Extra))
    };
    if missing.is_empty() || extra.is_empty() || missing.len() * extra.len() > 250_000 {
        return;
    }
    let differ = |one: &Difference, other: &Difference| {
        one.cells.iter().zip(&other.cells).filter(|(a, b)| a.from != b.to).count()
    };
    let mut couples = Vec::new();
    for a in &missing {
        for b in &extra {
            if let (Some(one), Some(other)) = (found.differences.get(*a), found.differences.get(*b))
                && (one.from_times, other.to_times) == (1, 1)
            {
                let cells = differ(one, other);
                // Of one column, every two rows are alike.
                if cells * 2 <= one.cells.len().max(2) && one.cells.len() > 1 {
                    couples.push((cells, *a, *b));
                }
            }
        }
    }
    couples.sort_unstable();
    let mut gone = HashSet::new();
    for (_, a, b) in couples {
        if gone.contains(&a) || gone.contains(&b) {
            continue;
        }
        gone.extend([a, b]);
        let to = found.differences.get(b).map(|d| d.cells.clone()).unwrap_or_default();
        if let Some(one) = found.differences.get_mut(a) {
            one.kind = DifferenceKind::Changed;
            one.to_times = 1;
            one.cells.iter_mut().zip(to).for_each(|(cell, other)| cell.to = other.to);
            one.cells.retain(|cell| cell.from != cell.to);
        }
        for (kind, up) in
            [(DifferenceKind::Missing, false), (DifferenceKind::Extra, false), (DifferenceKind::Changed, true)]
        {
            let count = found.unexplained.entry(kind).or_default();
            *count = if up { *count + 1 } else { count.saturating_sub(1) };
        }
        // The second of the couple goes; its place is marked by a count of none.
        if let Some(other) = found.differences.get_mut(b) {
            other.to_times = 0;
        }
    }
    found.differences.retain(|d| d.kind != DifferenceKind::Extra || d.to_times > 0);
}

/// Takes all records of an id and counts equal ones.
fn group(
    id: u128,
    first: Option<Record>,
    next: &mut Option<Record>,
    rest: &mut Sorted,
) -> Result<Vec<(u128, u64)>, Error> {
    let mut counts: Vec<(u128, u64)> = first.iter().map(|record| (record.hash, 1)).collect();
    while let Some(record) = next.filter(|record| record.id == id) {
        match counts.last_mut() {
            Some((hash, count)) if *hash == record.hash => *count += 1,
            _ => counts.push((record.hash, 1)),
        }
        *next = rest.next()?;
    }
    Ok(counts)
}

/// Rows of one identity that belong together and differ.
struct Pair {
    kind: DifferenceKind,
    from: Option<u128>,
    to: Option<u128>,
    /// How many rows that counts for.
    rows: u64,
    from_times: u64,
    to_times: u64,
}

/// Pairs the rows of one identity off: how many are equal, and the pairs that are not.
fn pairs(is_content: bool, from: &[(u128, u64)], to: &[(u128, u64)]) -> (u64, Vec<Pair>) {
    let times = |side: &[(u128, u64)]| side.iter().map(|(_, n)| n).sum::<u64>();
    let (from_times, to_times) = (times(from), times(to));
    let in_other = |side: &[(u128, u64)], hash: u128| side.iter().find(|(h, _)| *h == hash).map_or(0, |(_, n)| *n);
    let equal: u64 = from.iter().map(|(hash, n)| (*n).min(in_other(to, *hash))).sum();
    let left = |side: &[(u128, u64)], other: &[(u128, u64)]| -> Vec<(u128, u64)> {
        side.iter().map(|(hash, n)| (*hash, n.saturating_sub(in_other(other, *hash)))).filter(|(_, n)| *n > 0).collect()
    };
    let (mut of_from, mut of_to) = (left(from, to), left(to, from));
    let mut found = Vec::new();
    let both = from_times > 0 && to_times > 0;
    if both && !is_content {
        // Rows of one key with other contents on the two sides, one by one.
        while let (Some(a), Some(b)) = (of_from.last_mut(), of_to.last_mut()) {
            let rows = a.1.min(b.1);
            found.push(Pair {
                kind: DifferenceKind::Changed,
                from: Some(a.0),
                to: Some(b.0),
                rows,
                from_times,
                to_times,
            });
            (a.1, b.1) = (a.1 - rows, b.1 - rows);
            of_from.retain(|(_, n)| *n > 0);
            of_to.retain(|(_, n)| *n > 0);
        }
    }
    for (side, alone) in [(&of_from, DifferenceKind::Missing), (&of_to, DifferenceKind::Extra)] {
        for (hash, rows) in side {
            let of_from = alone == DifferenceKind::Missing;
            // The other side shows what it has of the same content, if anything.
            let twin = |other: &[(u128, u64)]| other.iter().find(|(h, _)| h == hash).map(|(h, _)| *h);
            found.push(Pair {
                kind: if both { DifferenceKind::Doubled } else { alone },
                from: if of_from { Some(*hash) } else { twin(from) },
                to: if of_from { twin(to) } else { Some(*hash) },
                rows: *rows,
                from_times,
                to_times,
            });
        }
    }
    (equal, found)
}

/// Rows that were picked out of a side.
#[derive(Default)]
struct Look {
    sheets: Vec<Picked>,
    rows: HashMap<u128, Vec<Seen>>,
}

struct Seen {
    hash: u128,
    times: u64,
    sheet: usize,
    row: usize,
}

struct Picked {
    batch: RecordBatch,
    keys: Vec<ArrayRef>,
    rule: Option<usize>,
}

impl Look {
    fn of(&self, id: u128) -> &[Seen] {
        self.rows.get(&id).map_or(&[], Vec::as_slice)
    }
}

impl Picked {
    fn new(
        batch: &RecordBatch,
        keys: &[(String, ArrayRef)],
        rule: Option<usize>,
        rows: Vec<u32>,
    ) -> Result<Self, Error> {
        let odd = |e: arrow::error::ArrowError| Error::failed("rows cannot be picked").caused_by(e);
        let rows = UInt32Array::from(rows);
        let columns = batch.columns().iter().map(|array| take(array, &rows, None)).collect::<Result<Vec<_>, _>>();
        let keys = keys.iter().map(|(_, array)| take(array, &rows, None)).collect::<Result<Vec<_>, _>>();
        let batch = RecordBatch::try_new(batch.schema(), columns.map_err(odd)?).map_err(odd)?;
        Ok(Picked { batch, keys: keys.map_err(odd)?, rule })
    }

    fn key(&self, row: usize) -> String {
        let values: Vec<String> = self.keys.iter().map(|array| cell_text(array, row).unwrap_or_default()).collect();
        flat(values.iter().map(String::as_str))
    }
}

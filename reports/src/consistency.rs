//! What a reader can rely on, in sentences: the level, who vouches for it, and what the source's own count of changes says.

use imis_databases::{Changes, Consistency, Mark, Reading};

/// What the level means.
pub(crate) fn level(level: Consistency) -> &'static str {
    match level {
        Consistency::Frozen => "frozen: the source cannot change while it is read",
        Consistency::SingleTransaction => "one transaction: every table is read as of the same moment",
        Consistency::Fuzzy => {
            "fuzzy: the source goes on working while it is read, so tables may not agree. Rehearse like this, but move for \
             good from a database that stands still"
        }
    }
}

/// The level with who vouches for it.
pub(crate) fn vouched(of: Consistency, reading: &Reading) -> String {
    match reading.because.as_str() {
        "" => level(of).to_owned(),
        because => format!("{} ({because})", level(of)),
    }
}

fn counter(mark: Mark) -> String {
    let open = if mark.open { ", and a change was open that nobody had committed" } else { "" };
    format!("0x{:016X}{open}", mark.counter)
}

/// What the count of changes says; `None` where there is nothing to say.
pub(crate) fn changes(of: Consistency, reading: &Reading) -> Option<String> {
    let (before, after) = match (reading.before, reading.after) {
        (Some(before), Some(after)) => (before, after),
        (Some(before), None) => {
            return Some(format!("The server's count of changes (@@DBTS) stands at {}.", counter(before)));
        }
        _ if of == Consistency::Frozen && !reading.declared => return None,
        _ => return Some("The server gives no count of changes (@@DBTS) by which this could be checked.".to_owned()),
    };
    let moved = || format!("@@DBTS went from {} to {}", counter(before), counter(after));
    Some(match (reading.changes(), of) {
        (Changes::None, _) => format!(
            "@@DBTS stood still at {}: from the first read to the last nobody inserted or updated a row of a table that has a \
             rowversion column. Rows of other tables, and rows that are deleted, do not move it.",
            counter(after)
        ),
        (Changes::Some, Consistency::Frozen) => format!(
            "Somebody wrote to the source while it was read: {}. What was read may be of several moments.",
            moved()
        ),
        (Changes::Some, Consistency::SingleTransaction) => {
            format!(
                "{}: the system went on working. What was read is the state of one moment, at the beginning.",
                moved()
            )
        }
        (Changes::Some, Consistency::Fuzzy) => {
            format!("{}: rows were inserted or updated while the source was read, or somebody tried to.", moved())
        }
        (Changes::Open | Changes::NotKnown, _) => {
            format!("@@DBTS stood still at {}. Whether that change came in between cannot be said.", counter(after))
        }
    })
}

/// The complaint about a source to which somebody wrote although it was to stand still.
pub(crate) fn disturbed(name: &str, reading: &Reading) -> String {
    let by = if reading.declared { "declared frozen" } else { "frozen" };
    let moved = match (reading.before, reading.after) {
        (Some(before), Some(after)) => format!(": @@DBTS went from {} to {}", counter(before), counter(after)),
        _ => String::new(),
    };
    format!("somebody wrote to the source {name} while it was read, although it was {by}{moved}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_count_of_changes_is_told_as_what_it_is() {
        let mark = |counter, open| Some(Mark { counter, open });
        let cases = [
            (Consistency::Fuzzy, None, None, "gives no count"),
            (Consistency::Fuzzy, mark(16, false), None, "stands at 0x0000000000000010."),
            (Consistency::Fuzzy, mark(16, false), mark(16, false), "a table that has a rowversion column"),
            (Consistency::Fuzzy, mark(16, false), mark(17, false), "to 0x0000000000000011: rows were inserted"),
            (
                Consistency::SingleTransaction,
                mark(16, false),
                mark(17, false),
                "the state of one moment, at the beginning",
            ),
            (Consistency::Frozen, mark(16, false), mark(17, false), "Somebody wrote to the source"),
            (Consistency::Frozen, mark(16, true), mark(16, true), "cannot be said"),
        ];
        for (level, before, after, says) in cases {
            let reading = Reading { before, after, ..Reading::default() };
            let said = changes(level, &reading).unwrap_or_default();
            assert!(said.contains(says), "{said}");
        }
        assert_eq!(changes(Consistency::Frozen, &Reading::default()), None);
    }
}

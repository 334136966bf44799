//! Statements that go on at several connections at once, without waiting for each other's tables.

use std::future::Future;

use futures::StreamExt;
use futures::stream::FuturesUnordered;
use imis_databases::Error;

/// What a piece of work needs of its tables.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Hold {
    /// Others may work on the same tables in the same way.
    Shared(Vec<String>),
    /// Nobody else may work on them.
    Own(Vec<String>),
    /// Nobody else may work on anything.
    All,
}

impl Hold {
    fn tables(&self) -> &[String] {
        match self {
            Hold::Shared(tables) | Hold::Own(tables) => tables,
            Hold::All => &[],
        }
    }

    /// Whether two cannot go on at once.
    fn excludes(&self, other: &Hold) -> bool {
        match (self, other) {
            (Hold::All, _) | (_, Hold::All) => true,
            (Hold::Shared(_), Hold::Shared(_)) => false,
            _ => self.tables().iter().any(|table| other.tables().contains(table)),
        }
    }
}

/// Does pieces of work, so many at once. Each begins when it excludes none that goes on and none before it that waits: what
/// stands before another and needs its table is done before it.
///
/// # Errors
/// The first error of any. Nothing begins after it, and what goes on is waited for: its statements would go on at the server and
/// hold what the next try needs.
pub(super) async fn at_once<W, F>(
    work: Vec<(Hold, W)>,
    lanes: usize,
    mut begin: impl FnMut(W) -> F,
) -> Result<(), Error>
where
    F: Future<Output = Result<(), Error>>,
{
    let mut waiting = work;
    let mut holds: Vec<(usize, Hold)> = Vec::new();
    let mut going = FuturesUnordered::new();
    let mut next = 0;
    let mut failed = None;
    loop {
        while failed.is_none()
            && holds.len() < lanes.max(1)
            && let Some(at) = first_free(&waiting, &holds)
        {
            let (hold, piece) = waiting.remove(at);
            let (number, done) = (next, begin(piece));
            next += 1;
            holds.push((number, hold));
            going.push(async move { (number, done.await) });
        }
        let Some((number, done)) = going.next().await else { return failed.map_or(Ok(()), Err) };
        if let Err(error) = done {
            failed.get_or_insert(error);
        }
        holds.retain(|(other, _)| *other != number);
    }
}

fn first_free<W>(waiting: &[(Hold, W)], holds: &[(usize, Hold)]) -> Option<usize> {
    (0..waiting.len()).find(|at| {
        let (before, rest) = waiting.split_at(*at);
        rest.first().is_some_and(|(hold, _)| {
            !holds.iter().any(|(_, other)| hold.excludes(other))
                && !before.iter().any(|(other, _)| hold.excludes(other))
        })
    })
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    fn tables(names: &str) -> Vec<String> {
        names.split(' ').map(str::to_owned).collect()
    }

    /// What is done in which order, with two lanes: `+name` where it begins, `-name` where it ends.
    async fn order(work: Vec<(Hold, &'static str)>) -> String {
        let seen = RefCell::new(Vec::new());
        at_once(work, 2, |name| {
            seen.borrow_mut().push(format!("+{name}"));
            let seen = &seen;
            async move {
                tokio::task::yield_now().await;
                seen.borrow_mut().push(format!("-{name}"));
                Ok(())
            }
        })
        .await
        .unwrap();
        seen.into_inner().join(" ")
    }

    #[tokio::test]
    async fn who_needs_a_table_waits_for_all_before_him() {
        let shared = |names| Hold::Shared(tables(names));
        let own = |names| Hold::Own(tables(names));
        // What has happened when something begins: two indexes of a table go on at once, its key comes after both, another table
        // goes on meanwhile, and what stands behind the key does not overtake it.
        let work =
            vec![(shared("a"), "i1"), (shared("a"), "i2"), (own("a b"), "key"), (shared("b"), "j"), (own("c"), "c")];
        let seen = order(work).await;
        let at = |what: &str| seen.split(' ').position(|one| one == what).unwrap();
        assert!(seen.starts_with("+i1 +i2 "), "{seen}");
        for (first, then) in [("-i1", "+key"), ("-i2", "+key"), ("-key", "+j"), ("+c", "+j")] {
            assert!(at(first) < at(then), "{first} {then}: {seen}");
        }
        assert_eq!(seen.split(' ').count(), 10, "{seen}");
        // Who needs everything is not overtaken and overtakes nobody.
        let work = vec![(own("a"), "a"), (Hold::All, "all"), (own("b"), "b")];
        assert_eq!(order(work).await, "+a -a +all -all +b -b");
    }

    #[tokio::test]
    async fn the_first_error_ends_it() {
        let own = |name: &str| Hold::Own(vec![name.to_owned()]);
        let work = vec![(own("a"), false), (own("b"), true), (own("a"), false), (own("c"), false)];
        let (begun, ended) = (RefCell::new(0), RefCell::new(0));
        let done = at_once(work, 2, |fails| {
            *begun.borrow_mut() += 1;
            let ended = &ended;
            async move {
                if fails {
                    return Err(Error::failed("no"));
                }
                tokio::time::sleep(std::time::Duration::from_millis(20)).await;
                *ended.borrow_mut() += 1;
                Ok(())
            }
        });
        assert!(done.await.is_err());
        assert_eq!((begun.into_inner(), ended.into_inner()), (2, 1));
    }
}

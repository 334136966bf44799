//! Rows that point at each other in a circle.

use std::collections::HashSet;

use arrow::array::{ArrayRef, AsArray, BooleanArray};
use arrow::datatypes::Int64Type;
use arrow::record_batch::RecordBatch;
use imis_databases::Error;
use xxhash_rust::xxh3::xxh3_64;

use super::sets::Cells;

/// A key as a number: itself, or the hash of a text.
fn node(cells: &Cells, row: usize) -> u64 {
    match cells {
        Cells::Numbers(array) => array.as_primitive::<Int64Type>().value(row).cast_unsigned(),
        Cells::Texts(array) => xxh3_64(array.as_string::<i32>().value(row).as_bytes()),
    }
}

fn cells(batch: &RecordBatch, name: &str) -> Result<Cells, Error> {
    let column: Option<&ArrayRef> = batch.column_by_name(&name.to_lowercase());
    column.map_or_else(|| Err(Error::failed(format!("the column {name} was not read"))), Cells::of)
}

/// Adds the edges of the rows that are chosen: from the row to what it points at.
pub(super) fn gather(
    batch: &RecordBatch,
    key: &str,
    parent: &str,
    chosen: &BooleanArray,
    edges: &mut Vec<(u64, u64)>,
) -> Result<(), Error> {
    let (keys, parents) = (cells(batch, key)?, cells(batch, parent)?);
    let rows = chosen.values().set_indices().filter(|row| !keys.is_null(*row) && !parents.is_null(*row));
    edges.extend(rows.map(|row| (node(&keys, row), node(&parents, row))));
    Ok(())
}

/// Which of the chosen rows are among those that lie on a circle.
pub(super) fn on_circle(
    batch: &RecordBatch,
    key: &str,
    chosen: &BooleanArray,
    wanted: &HashSet<u128>,
) -> Result<Vec<bool>, Error> {
    let keys = cells(batch, key)?;
    let is = |row: usize| chosen.value(row) && !keys.is_null(row) && wanted.contains(&u128::from(node(&keys, row)));
    Ok((0..batch.num_rows()).map(is).collect())
}

/// The nodes that lie on a circle, and how many circles there are. Each node points at one other at most; where a key is there twice,
/// the first edge counts.
pub(super) fn circles(mut edges: Vec<(u64, u64)>) -> (HashSet<u128>, u64) {
    edges.sort_unstable();
    edges.dedup_by_key(|edge| edge.0);
    let place = |node: u64| edges.binary_search_by_key(&node, |edge| edge.0).ok();
    // 0: not seen; else the number of the walk that came by first.
    let mut seen = vec![0u32; edges.len()];
    let (mut found, mut count) = (HashSet::new(), 0);
    for start in 0..edges.len() {
        let walk = u32::try_from(start).unwrap_or(u32::MAX - 1) + 1;
        let mut at = Some(start);
        while let Some(now) = at {
            match seen.get(now) {
                Some(0) => {}
                // Back on the own way: a circle, which is followed once more.
                Some(by) if *by == walk => {
                    count += 1;
                    let mut on = now;
                    while let Some((node, next)) = edges.get(on) {
                        if !found.insert(u128::from(*node)) {
                            break;
                        }
                        let Some(next) = place(*next) else { break };
                        on = next;
                    }
                    break;
                }
                _ => break,
            }
            if let Some(seen) = seen.get_mut(now) {
                *seen = walk;
            }
            at = edges.get(now).and_then(|(_, next)| place(*next));
        }
    }
    (found, count)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn circles_are_found_and_what_leads_to_them_is_not() {
        let (found, count) = circles(vec![(1, 2), (2, 3), (3, 1), (4, 1), (5, 5), (6, 7), (7, 8)]);
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_unstable();
        assert_eq!((found, count), (vec![1, 2, 3, 5], 2));
    }

    proptest! {
        #[test]
        fn a_node_is_on_a_circle_if_it_comes_back_to_itself(parents in prop::collection::vec(0u64..12, 0..12)) {
            let edges: Vec<(u64, u64)> = parents.iter().enumerate().map(|(at, to)| (at as u64, *to)).collect();
            let (found, _) = circles(edges.clone());
            for (start, _) in &edges {
                let mut at = *start;
                let mut back = false;
                for _ in 0..edges.len() + 1 {
                    let Some((_, next)) = edges.get(at as usize) else { break };
                    at = *next;
                    back |= at == *start;
                }
                prop_assert_eq!(found.contains(&u128::from(*start)), back);
            }
        }
    }
}

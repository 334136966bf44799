//! The different values of a column: told apart exactly up to a bound, estimated above, and the most frequent of them.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, UInt64Array};
use arrow::datatypes::{DataType, Field, Schema};
use datafusion::error::Result;
use datafusion::functions_aggregate::approx_distinct::approx_distinct_udaf;
use datafusion::logical_expr::Accumulator;
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::physical_expr::expressions::Column;
use datafusion::scalar::ScalarValue;

use super::frequencies::Frequencies;
use super::picture::Distinct;

/// The different values of a column.
pub(super) struct Values {
    pub(super) frequencies: Frequencies,
    estimator: Option<Estimator>,
}

impl Values {
    pub(super) fn new(exact: usize) -> Self {
        Values { frequencies: Frequencies::new(exact), estimator: None }
    }

    /// Takes the values with these hashes; `text` says the value at a place.
    pub(super) fn take(&mut self, hashes: &[(usize, u64)], text: impl Fn(usize) -> String) -> Result<()> {
        for (place, hash) in hashes {
            self.frequencies.add(*hash, || text(*place));
        }
        if let Some(estimator) = &mut self.estimator {
            estimator.add(hashes.iter().map(|(_, hash)| *hash))?;
        }
        self.bound()
    }

    /// Adds what was seen elsewhere.
    pub(super) fn merge(&mut self, other: Values) -> Result<()> {
        match (&mut self.estimator, other.estimator) {
            (Some(mine), Some(theirs)) => mine.merge(theirs)?,
            (Some(mine), None) => mine.add(other.frequencies.hashes())?,
            (None, Some(mut theirs)) => {
                theirs.add(self.frequencies.hashes())?;
                self.estimator = Some(theirs);
            }
            (None, None) => {}
        }
        self.frequencies.merge(other.frequencies);
        self.bound()
    }

    /// Keeps to the bound. Before the first value is forgotten, all are shown to the estimator.
    fn bound(&mut self) -> Result<()> {
        if !self.frequencies.is_full() {
            return Ok(());
        }
        if self.estimator.is_none() {
            let mut estimator = Estimator::new()?;
            estimator.add(self.frequencies.hashes())?;
            self.estimator = Some(estimator);
        }
        self.frequencies.purge();
        Ok(())
    }

    /// How many different values there are, of so many.
    pub(super) fn distinct(&mut self, filled: u64) -> Result<Distinct> {
        Ok(match &mut self.estimator {
            None => Distinct { number: self.frequencies.len() as u64, exact: true },
            Some(estimator) => Distinct { number: estimator.estimate()?.min(filled), exact: false },
        })
    }
}

/// DataFusion's own HyperLogLog: 16,384 registers, a standard error of 0.8 percent.
struct Estimator(Box<dyn Accumulator>);

impl fmt::Debug for Estimator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Estimator")
    }
}

impl Estimator {
    fn new() -> Result<Self> {
        let field = Arc::new(Field::new("hash", DataType::UInt64, false));
        let schema = Schema::new(vec![Arc::clone(&field)]);
        let accumulator = approx_distinct_udaf().accumulator(AccumulatorArgs {
            return_field: Arc::clone(&field),
            schema: &schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "distinct",
            is_distinct: false,
            exprs: &[Arc::new(Column::new("hash", 0))],
            expr_fields: &[field],
        })?;
        Ok(Estimator(accumulator))
    }

    fn add(&mut self, hashes: impl Iterator<Item = u64>) -> Result<()> {
        self.0.update_batch(&[Arc::new(UInt64Array::from_iter_values(hashes)) as ArrayRef])
    }

    fn merge(&mut self, mut other: Estimator) -> Result<()> {
        let state = other.0.state()?;
        let state = state.iter().map(ScalarValue::to_array).collect::<Result<Vec<_>>>()?;
        self.0.merge_batch(&state)
    }

    fn estimate(&mut self) -> Result<u64> {
        Ok(match self.0.evaluate()? {
            ScalarValue::UInt64(Some(number)) => number,
            _ => 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use xxhash_rust::xxh3::xxh3_64;

    use super::*;

    fn of(range: std::ops::Range<u64>, exact: usize) -> Values {
        let mut values = Values::new(exact);
        let hashes: Vec<(usize, u64)> = range.map(|n| (n as usize, xxh3_64(&n.to_le_bytes()))).collect();
        for batch in hashes.chunks(8_192) {
            values.take(batch, |n| n.to_string()).unwrap();
        }
        values
    }

    #[test]
    fn exact_up_to_the_bound_and_estimated_above_in_one_piece_or_in_two() {
        let distinct = |mut values: Values| values.distinct(u64::MAX).unwrap();
        assert_eq!(distinct(of(0..10_000, 10_000)), Distinct { number: 10_000, exact: true });
        let both = |a: Values, b: Values| {
            let mut a = a;
            a.merge(b).unwrap();
            distinct(a)
        };
        assert_eq!(both(of(0..6_000, 10_000), of(4_000..10_000, 10_000)), Distinct { number: 10_000, exact: true });
        let near = |found: Distinct, number: u64| {
            assert!(!found.exact && found.number.abs_diff(number) * 100 < number * 4, "{found:?} is not {number}");
        };
        near(distinct(of(0..200_000, 10_000)), 200_000);
        near(both(of(0..8_000, 10_000), of(4_000..12_000, 10_000)), 12_000);
        near(both(of(0..100_000, 10_000), of(50_000..150_000, 10_000)), 150_000);
        near(both(of(0..100, 10_000), of(50..150_000, 10_000)), 150_000);
        near(both(of(50..150_000, 10_000), of(0..100, 10_000)), 150_000);
    }
}

//! Our own totals of the rows that go through our hands. They are no proof: they say whether rows that differ for a reason are the
//! whole difference between what the two servers computed.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::kernels::aggregate;
use arrow::datatypes::{
    ArrowNumericType, DataType as ArrowType, Date32Type, Decimal128Type, Int16Type, Int32Type, Int64Type,
    TimestampMicrosecondType, UInt8Type,
};

/// Totals of one column.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Figures {
    pub(crate) nulls: i128,
    /// `None` when it does not fit.
    pub(crate) sum: Option<i128>,
    pub(crate) least: Option<i128>,
    pub(crate) greatest: Option<i128>,
    /// Digits behind the point of a number.
    pub(crate) scale: u8,
    /// What least and greatest are counted in.
    pub(crate) unit: Unit,
    started: bool,
}

/// What a figure is counted in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Unit {
    #[default]
    Number,
    /// Days since 1970.
    Day,
    /// Microseconds since 1970.
    Micro,
}

impl Figures {
    /// Takes the values of an array; what is neither a number nor a moment is only looked at for NULLs.
    pub(crate) fn take(&mut self, array: &ArrayRef) {
        if !self.started {
            (self.started, self.sum) = (true, Some(0));
        }
        self.nulls += array.null_count() as i128;
        match array.data_type() {
            ArrowType::UInt8 => self.over::<UInt8Type>(array),
            ArrowType::Int16 => self.over::<Int16Type>(array),
            ArrowType::Int32 => self.over::<Int32Type>(array),
            ArrowType::Int64 => self.over::<Int64Type>(array),
            ArrowType::Date32 => {
                self.unit = Unit::Day;
                self.over::<Date32Type>(array);
            }
            ArrowType::Timestamp(arrow::datatypes::TimeUnit::Microsecond, _) => {
                self.unit = Unit::Micro;
                self.over::<TimestampMicrosecondType>(array);
            }
            ArrowType::Decimal128(_, scale) => {
                self.scale = u8::try_from(*scale).unwrap_or(0);
                self.over::<Decimal128Type>(array);
            }
            ArrowType::Boolean => {
                let set = array.as_boolean_opt().map_or(0, |truth| truth.true_count());
                self.add(Some(set as i128), None, None);
            }
            _ => {}
        }
    }

    fn over<T: ArrowNumericType>(&mut self, array: &ArrayRef)
    where
        i128: From<T::Native>,
    {
        let Some(values) = array.as_primitive_opt::<T>() else { return };
        let (Some(least), Some(greatest)) = (aggregate::min(values), aggregate::max(values)) else { return };
        let (least, greatest) = (i128::from(least), i128::from(greatest));
        // What lies between numbers of 64 bits adds up to less than 128; only of larger ones each step has to be looked at.
        let is_small = i64::try_from(least).is_ok() && i64::try_from(greatest).is_ok();
        let mut each = values.iter().flatten().map(i128::from);
        let sum = match is_small {
            true if values.null_count() == 0 => {
                Some(values.values().iter().fold(0, |sum: i128, value| sum.wrapping_add(i128::from(*value))))
            }
            true => Some(each.fold(0, i128::wrapping_add)),
            false => each.try_fold(0, i128::checked_add),
        };
        self.add(sum, Some(least), Some(greatest));
    }

    fn add(&mut self, sum: Option<i128>, least: Option<i128>, greatest: Option<i128>) {
        self.sum = self.sum.zip(sum).and_then(|(a, b)| a.checked_add(b));
        self.least = self.least.into_iter().chain(least).min();
        self.greatest = self.greatest.into_iter().chain(greatest).max();
    }

    /// Adds the figures of other rows.
    pub(crate) fn merge(&mut self, other: &Figures) {
        if !other.started {
            return;
        }
        if !self.started {
            *self = other.clone();
            return;
        }
        self.nulls += other.nulls;
        self.scale = self.scale.max(other.scale);
        if other.unit != Unit::Number {
            self.unit = other.unit;
        }
        self.add(other.sum, other.least, other.greatest);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use arrow::array::{Decimal128Array, Int64Array};

    use super::*;

    #[test]
    fn figures_add_up_over_batches_and_beyond_64_bits() {
        let mut figures = Figures::default();
        for _ in 0..3 {
            let array: ArrayRef = Arc::new(Int64Array::from(vec![Some(i64::MAX), None, Some(-1)]));
            figures.take(&array);
        }
        assert_eq!(figures.sum, Some(3 * (i128::from(i64::MAX) - 1)));
        assert_eq!((figures.nulls, figures.least, figures.greatest), (3, Some(-1), Some(i64::MAX.into())));
        let money = Decimal128Array::from(vec![150]).with_precision_and_scale(18, 2).unwrap();
        let mut other = Figures::default();
        other.take(&(Arc::new(money) as ArrayRef));
        assert_eq!((other.sum, other.scale), (Some(150), 2));
    }
}

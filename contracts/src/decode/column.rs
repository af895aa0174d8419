//! Column buffers that can be cut back to any row, and that become Arrow arrays without a copy.
//!
//! A row that holds nothing for a column simply pushes nothing: the gap is filled with nulls when a
//! later row pushes, or at the end. So taking back a row is a truncation, a sparse column costs its
//! rows nothing, and a column without nulls has no bitmap.

use std::mem;
use std::sync::Arc;

use arrow_array::types::ArrowPrimitiveType;
use arrow_array::{ArrayRef, BinaryArray, BooleanArray, PrimitiveArray, StringArray};
use arrow_buffer::{
    ArrowNativeType, BooleanBuffer, Buffer, NullBuffer, OffsetBuffer, ScalarBuffer,
};
use arrow_schema::DataType;

/// Which rows are null: a set bit is a null. Holds nothing while there is none.
#[derive(Debug, Default)]
struct Nulls {
    bits: Vec<u64>,
}

impl Nulls {
    /// Marks `from..until`. Rows are marked in ascending order.
    #[cold]
    fn mark(&mut self, from: usize, until: usize) {
        self.bits.resize(until.div_ceil(64), 0);
        for word in from / 64..until.div_ceil(64) {
            let low = from.saturating_sub(word * 64).min(64);
            let high = (until - word * 64).min(64);
            if low < high {
                self.bits[word] |= (u64::MAX << low) & (u64::MAX >> (64 - high));
            }
        }
    }

    fn finish(&mut self, rows: usize) -> Option<NullBuffer> {
        if self.bits.is_empty() {
            return None;
        }
        let mut bits = mem::take(&mut self.bits);
        bits.resize(rows.div_ceil(64), 0);
        bits.iter_mut().for_each(|word| *word = !*word);
        Some(NullBuffer::new(BooleanBuffer::new(Buffer::from_vec(bits), 0, rows)))
    }
}

/// Values of a fixed width, one per row.
#[derive(Debug, Default)]
pub(super) struct Fixed<T> {
    values: Vec<T>,
    nulls: Nulls,
}

impl<T: Copy + Default> Fixed<T> {
    /// Sets the value of `row`, the greatest row so far.
    #[inline(always)]
    pub fn push(&mut self, row: usize, value: T) {
        if self.values.len() != row {
            self.fill(row);
        }
        self.values.push(value);
    }

    /// The value of `row`, the greatest row so far.
    #[inline]
    pub fn get(&self, row: usize) -> Option<T> {
        self.values.get(row).copied()
    }

    /// Nulls up to `rows`.
    #[cold]
    fn fill(&mut self, rows: usize) {
        if self.values.len() < rows {
            self.nulls.mark(self.values.len(), rows);
            self.values.resize(rows, T::default());
        }
    }

    /// Takes back what rows from `rows` on have pushed.
    pub fn truncate(&mut self, rows: usize) {
        self.values.truncate(rows);
    }

    fn take(&mut self, rows: usize) -> (Vec<T>, Option<NullBuffer>) {
        self.fill(rows);
        let next = Vec::with_capacity(self.values.len());
        (mem::replace(&mut self.values, next), self.nulls.finish(rows))
    }

    /// The rows as an array of `data_type`, whose native type is `T`; the column is empty then.
    pub fn finish<A>(&mut self, rows: usize, data_type: &DataType) -> ArrayRef
    where
        A: ArrowPrimitiveType<Native = T>,
        T: ArrowNativeType,
    {
        let (values, nulls) = self.take(rows);
        let array = PrimitiveArray::<A>::new(ScalarBuffer::from(values), nulls);
        Arc::new(array.with_data_type(data_type.clone()))
    }
}

impl Fixed<bool> {
    /// The rows as an array; the column is empty then.
    pub fn finish_bool(&mut self, rows: usize) -> ArrayRef {
        let (values, nulls) = self.take(rows);
        Arc::new(BooleanArray::new(BooleanBuffer::from(values), nulls))
    }
}

/// Strings of bytes, one per row.
#[derive(Debug)]
pub(super) struct Bytes {
    data: Vec<u8>,
    /// Where each row begins, and where the last one ends.
    offsets: Vec<i32>,
    nulls: Nulls,
}

/// The most bytes that one column of a chunk can hold.
pub(super) const BYTES_MAX: usize = i32::MAX as usize;

impl Default for Bytes {
    fn default() -> Bytes {
        Bytes { data: Vec::new(), offsets: vec![0], nulls: Nulls::default() }
    }
}

impl Bytes {
    /// Sets the value of `row`, the greatest row so far. The column must not pass [`BYTES_MAX`].
    #[inline(always)]
    pub fn push(&mut self, row: usize, value: &[u8]) {
        if self.offsets.len() != row + 1 {
            self.fill(row);
        }
        self.data.extend_from_slice(value);
        self.offsets.push(self.data.len() as i32);
    }

    /// The value of `row`, the greatest row so far.
    #[inline]
    pub fn get(&self, row: usize) -> Option<&[u8]> {
        let end = *self.offsets.get(row + 1)?;
        self.data.get(self.offsets[row] as usize..end as usize)
    }

    #[cold]
    fn fill(&mut self, rows: usize) {
        if self.offsets.len() <= rows {
            self.nulls.mark(self.offsets.len() - 1, rows);
            self.offsets.resize(rows + 1, self.data.len() as i32);
        }
    }

    /// Takes back what rows from `rows` on have pushed.
    pub fn truncate(&mut self, rows: usize) {
        if self.offsets.len() > rows + 1 {
            self.offsets.truncate(rows + 1);
            self.data.truncate(self.offsets[rows] as usize);
        }
    }

    fn take(&mut self, rows: usize) -> (OffsetBuffer<i32>, Buffer, Option<NullBuffer>) {
        if self.offsets.len() == 1 && rows > 0 {
            let nulls = Some(NullBuffer::new_null(rows));
            return (OffsetBuffer::new_zeroed(rows), Buffer::from_vec(Vec::<u8>::new()), nulls);
        }
        self.fill(rows);
        let data = Vec::with_capacity(self.data.len());
        let mut offsets = Vec::with_capacity(self.offsets.len());
        offsets.push(0);
        let data = Buffer::from_vec(mem::replace(&mut self.data, data));
        let offsets = ScalarBuffer::from(mem::replace(&mut self.offsets, offsets));
        (OffsetBuffer::new(offsets), data, self.nulls.finish(rows))
    }

    /// The rows as an array of strings; the column is empty then. Everything pushed was UTF-8.
    pub fn finish_utf8(&mut self, rows: usize) -> ArrayRef {
        let (offsets, data, nulls) = self.take(rows);
        Arc::new(StringArray::new(offsets, data, nulls))
    }

    /// The rows as an array of bytes; the column is empty then.
    pub fn finish_binary(&mut self, rows: usize) -> ArrayRef {
        let (offsets, data, nulls) = self.take(rows);
        Arc::new(BinaryArray::new(offsets, data, nulls))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow_array::Array;
    use arrow_array::cast::AsArray;
    use arrow_array::types::Int64Type;
    use proptest::prelude::*;

    proptest! {
        /// Any sequence of rows, some null, some taken back, against plain options.
        #[test]
        fn rows_come_out_as_they_went_in(
            rows in prop::collection::vec((prop::option::of(0i64..1000), prop::bool::weighted(0.2)), 0..300),
        ) {
            let (mut fixed, mut bytes, mut bools) = (Fixed::default(), Bytes::default(), Fixed::default());
            for round in 0..2 {
                let mut model = Vec::new();
                for (value, taken_back) in &rows {
                    let row = model.len();
                    if let Some(value) = value {
                        fixed.push(row, value + round);
                        bytes.push(row, value.to_string().as_bytes());
                        bools.push(row, value % 2 == 0);
                    }
                    if *taken_back {
                        fixed.truncate(row);
                        bytes.truncate(row);
                        bools.truncate(row);
                    } else {
                        model.push(*value);
                    }
                }
                let n = model.len();
                let numbers = fixed.finish::<Int64Type>(n, &DataType::Int64);
                let numbers: Vec<_> = numbers.as_primitive::<Int64Type>().iter().collect();
                prop_assert_eq!(&numbers, &model.iter().map(|v| v.map(|v| v + round)).collect::<Vec<_>>());
                let strings = bytes.finish_utf8(n);
                let strings: Vec<_> = strings.as_string::<i32>().iter().map(|s| s.map(str::to_owned)).collect();
                prop_assert_eq!(&strings, &model.iter().map(|v| v.map(|v| v.to_string())).collect::<Vec<_>>());
                let flags = bools.finish_bool(n);
                prop_assert_eq!(flags.null_count(), model.iter().filter(|v| v.is_none()).count());
                let flags: Vec<_> = flags.as_boolean().iter().collect();
                prop_assert_eq!(flags, model.iter().map(|v| v.map(|v| v % 2 == 0)).collect::<Vec<_>>());
            }
        }
    }
}

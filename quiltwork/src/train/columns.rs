//! New parameters made of each element's values in all updates, sorted; which of them count is a strategy's matter.
use super::error::Result;
use super::parameters::Parameters;
use super::tensor::BLOCK;
use super::updates::Updates;

/// Makes each element of the new parameters by `pick` from its values in the updates, which are sorted: what is not a number
/// stands at the ends. How many samples an update claims has no part in it.
pub(super) fn merge_columns(updates: &Updates<'_>, pick: impl Fn(&[f64]) -> f64) -> Result<Parameters> {
    let mut rows = vec![0.0; updates.len() * BLOCK];
    let mut column = vec![0.0; updates.len()];
    updates.merged(|name, model| {
        Ok(model.made_like(|start, block| {
            for (row, tensor) in rows.chunks_mut(BLOCK).zip(updates.tensors(name)) {
                tensor.write_scaled(start, 1.0, &mut row[..block.len()]);
            }
            for (place, element) in block.iter_mut().enumerate() {
                for (value, row) in column.iter_mut().zip(rows.chunks(BLOCK)) {
                    *value = row[place];
                }
                column.sort_unstable_by(f64::total_cmp);
                *element = pick(&column);
            }
        }))
    })
}

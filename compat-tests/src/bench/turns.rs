//! Ours and stock in turn: whatever else the machine does meanwhile falls on both.

use super::Sample;
use crate::Error;

/// Runs of ours and of stock, of which the first is discarded.
pub fn in_turn<S>(
    runs: usize,
    ours: &mut S,
    stock: &mut S,
    mut run: impl FnMut(&mut S) -> Result<f64, Error>,
) -> Result<Vec<Sample>, Error> {
    let samples = (0..=runs).map(|turn| pair(turn, ours, stock, &mut run));
    Ok(samples.collect::<Result<Vec<_>, _>>()?.split_off(1))
}

/// One run of each; who goes first changes from turn to turn.
pub fn pair<S>(
    turn: usize,
    ours: &mut S,
    stock: &mut S,
    mut run: impl FnMut(&mut S) -> Result<f64, Error>,
) -> Result<Sample, Error> {
    let (ours, stock) = if turn.is_multiple_of(2) {
        let ours = run(ours)?;
        (ours, run(stock)?)
    } else {
        let stock = run(stock)?;
        (run(ours)?, stock)
    };
    Ok(Sample {
        ours,
        stock: Some(stock),
        floor: None,
    })
}

//! `swarmrs-bench ROW…`: measure swarmrs against the stock swarm on this machine.

use std::path::PathBuf;

use anyhow::Context;
use clap::Parser;
use swarmrs_compat_tests::bench::{Row, Settings, measure};
use swarmrs_compat_tests::testbed::Release;

/// Measure swarmrs against the stock swarm on hosts made for it
#[derive(Parser)]
#[command(name = "swarmrs-bench", version)]
struct Arguments {
    /// Rows to measure
    #[arg(required = true, value_enum)]
    rows: Vec<Row>,
    /// Runs per row, after one that is discarded
    #[arg(long)]
    runs: Option<usize>,
    /// Print one JSON object per row
    #[arg(long)]
    json: bool,
    /// Measure this swarmrsd instead of this tree's release build
    #[arg(long, value_name = "PATH")]
    swarmrsd: Option<PathBuf>,
    /// Measure on this release of the engine
    #[arg(long, value_enum, default_value_t)]
    engine: Release,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::parse();
    let settings = Settings {
        runs: arguments.runs,
        swarmrsd: arguments.swarmrsd,
        engine: arguments.engine,
    };
    for row in arguments.rows {
        let report =
            measure(row, &settings).with_context(|| format!("cannot measure {}", row.name()))?;
        if arguments.json {
            println!("{}", serde_json::to_string(&report)?);
        } else {
            println!("{report}");
        }
    }
    Ok(())
}

//! The time from the start of a server's process to its first answer.

use crate::{
    Outcome,
    figures::{Start, median},
    options::Plan,
    servers::{Launcher, System},
};

/// Starts each server several times; the medians. The client tries to connect every millisecond.
pub async fn measure(launcher: &Launcher<'_>, systems: &[System], plan: &Plan) -> Outcome<Vec<Start>> {
    let mut times = vec![Vec::new(); systems.len()];
    for _ in 0..plan.spawns {
        for (system, times) in systems.iter().zip(&mut times) {
            times.push(1e3 * launcher.start(*system).await?.start.as_secs_f64());
        }
    }
    let medians = systems.iter().zip(times).filter_map(|(system, times)| Some((*system, median(times)?)));
    let found: Vec<Start> = medians.map(|(system, ms)| Start { system, ms }).collect();
    let shown = found.iter().map(|found| format!("{} {:.0} ms", found.system, found.ms));
    eprintln!("start to first answer: {}", shown.collect::<Vec<_>>().join(", "));
    Ok(found)
}

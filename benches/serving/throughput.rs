//! Throughput under constant numbers of articles in flight.

use crate::{
    Outcome,
    figures::{Call, Rate, Throughput, Workload},
    load,
    options::Plan,
    servers::{Launcher, Server, System},
    texts::Texts,
};

/// The workload whose throughput is the base of offered loads.
pub const BASE: Workload = Workload { call: Call::Stream, bytes: 4096, streams: 1, in_flight: 64 };

/// Measures the throughput of each system under each workload; the series of streams only for Dateline and the echo server.
pub async fn measure(
    launcher: &Launcher<'_>,
    systems: &[System],
    texts: &Texts,
    plan: &Plan,
) -> Outcome<Vec<Throughput>> {
    let mut servers = Vec::new();
    for system in systems {
        servers.push((*system, launcher.start(*system).await?));
    }
    let of_all = [BASE, Workload { bytes: 500, ..BASE }, Workload { call: Call::Unary, in_flight: 16, ..BASE }];
    let series = plan.streams.iter().map(|streams| Workload { streams: *streams, ..BASE });
    let mut found = Vec::new();
    for workload in of_all {
        found.extend(rounds(&servers, &workload, texts, plan).await?);
    }
    servers.retain(|(system, _)| matches!(system, System::Dateline | System::Echo));
    for workload in series.filter(|workload| !of_all.contains(workload)) {
        found.extend(rounds(&servers, &workload, texts, plan).await?);
    }
    Ok(found)
}

/// Measures all servers in turn in each round; the medians over the rounds.
async fn rounds(
    servers: &[(System, Server)],
    workload: &Workload,
    texts: &Texts,
    plan: &Plan,
) -> Outcome<Vec<Throughput>> {
    let requests = texts.requests(workload.bytes);
    let mut rates: Vec<Vec<Rate>> = vec![Vec::new(); servers.len()];
    for _ in 0..plan.rounds {
        for ((_, server), rates) in servers.iter().zip(&mut rates) {
            rates.push(load::closed_loop(server, workload, &requests, (plan.warm_up(), plan.time())).await?);
        }
    }
    let medians = servers.iter().zip(&rates).filter_map(|((system, _), rates)| Some((*system, Rate::median(rates)?)));
    let found: Vec<Throughput> =
        medians.map(|(system, rate)| Throughput { system, workload: *workload, rate }).collect();
    let shown = found.iter().map(|found| format!("{} {:.0}/s", found.system, found.rate.articles_per_second));
    eprintln!("{workload}: {}", shown.collect::<Vec<_>>().join(", "));
    Ok(found)
}

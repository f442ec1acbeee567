//! Latency against offered load.

use crate::{
    Outcome,
    figures::{Latency, Throughput, median},
    load,
    options::Plan,
    servers::{Launcher, System},
    texts::Texts,
    throughput::BASE,
};

const PERCENTILES: [f64; 3] = [50.0, 90.0, 99.0];

/// Measures the latency of Dateline and of the echo server at shares of their own throughput.
pub async fn measure(
    launcher: &Launcher<'_>,
    throughput: &[Throughput],
    texts: &Texts,
    plan: &Plan,
) -> Outcome<Vec<Latency>> {
    let requests = texts.requests(BASE.bytes);
    let bases = throughput.iter().filter(|found| found.workload == BASE);
    let mut servers = Vec::new();
    for base in bases.filter(|found| matches!(found.system, System::Dateline | System::Echo)) {
        servers.push((base, launcher.start(base.system).await?));
    }
    let mut found = Vec::new();
    for load_percent in plan.loads {
        let rate_of = |base: &Throughput| base.rate.articles_per_second * f64::from(*load_percent) / 100.0;
        let mut percentiles = vec![Vec::new(); servers.len()];
        for _ in 0..plan.rounds {
            for ((base, server), percentiles) in servers.iter().zip(&mut percentiles) {
                let times = (plan.warm_up(), plan.time());
                let mut latencies = load::open_loop(server, &requests, rate_of(base), times).await?;
                latencies.sort_by(f64::total_cmp);
                percentiles.push(PERCENTILES.map(|percent| percentile(&latencies, percent)));
            }
        }
        for ((base, _), percentiles) in servers.iter().zip(&percentiles) {
            let of = |i: usize| median(percentiles.iter().map(|round| round[i])).unwrap_or(f64::NAN);
            let [p50_us, p90_us, p99_us] = [0, 1, 2].map(of);
            eprintln!("latency of {} at {load_percent} %: p50 {p50_us:.0} µs, p99 {p99_us:.0} µs", base.system);
            let (system, articles_per_second) = (base.system, rate_of(base));
            found.push(Latency { system, load_percent: *load_percent, articles_per_second, p50_us, p90_us, p99_us });
        }
    }
    Ok(found)
}

/// The nearest-rank percentile of sorted values; not a number without values.
pub fn percentile(sorted: &[f64], percent: f64) -> f64 {
    let rank = (percent / 100.0 * sorted.len() as f64).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied().unwrap_or(f64::NAN)
}

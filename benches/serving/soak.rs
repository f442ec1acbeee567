//! The soak: hours of constant load, with model swaps and bad clients. What a server uses must not grow.

use crate::{
    Outcome,
    figures::median,
    latency::percentile,
    load, machine,
    options::Plan,
    servers::{Launcher, Server, System},
    texts::Texts,
    throughput::BASE,
};
use dateline::{
    Model,
    model::{self, CURRENT, MANIFEST, Store, TENSORS},
    wire::proto::dateline::v1::ClassifyRequest,
};
use serde::Serialize;
use std::{convert::Infallible, fmt, fs, ops::Range, path::Path, time::Duration};
use tokio::{
    io::AsyncWriteExt,
    net::TcpStream,
    sync::mpsc,
    time::{Instant, interval, sleep},
};
use tokio_stream::wrappers::ReceiverStream;

/// The number of intervals that a soak is divided into.
const INTERVALS: u32 = 60;
/// The offered load, as a share of the server's own throughput without bad clients.
const LOAD: f64 = 0.8;
/// The time before the first interval. Meanwhile unread answers fill the budget, and models are swapped more often: the memory that
/// the allocator keeps for them grows with the first dozens of swaps.
const WARM_UP: Duration = Duration::from_secs(240);
/// The time between two model swaps, during the warm-up and after it.
const WARM_UP_SWAP_EVERY: Duration = Duration::from_secs(4);
const SWAP_EVERY: Duration = Duration::from_secs(20);
/// The time between two connections of a bad client of each kind.
const BAD_EVERY: Duration = Duration::from_millis(500);
/// The size of a message over the server's limit, in bytes.
const TOO_LARGE: usize = 5 << 20;
/// The most that memory may grow from the first third of the soak to the last one, as a factor.
const MEMORY_GROWTH: f64 = 1.1;
/// The most descriptors and threads that the last third may have more than the first one. Bad clients come and go.
const MORE: u64 = 8;

/// What a server used, and how it answered, in one interval.
#[derive(Debug, Serialize)]
pub struct Interval {
    /// The end of the interval, in minutes from the start.
    pub minutes: f64,
    pub articles: usize,
    pub p50_us: f64,
    pub p99_us: f64,
    pub resident_bytes: u64,
    pub descriptors: u64,
    pub threads: u64,
}

/// A figure of an interval.
type Figure = fn(&Interval) -> f64;

/// The figures of a soak.
#[derive(Debug, Serialize)]
pub struct Soak {
    pub articles_per_second: f64,
    pub swaps: u64,
    pub bad_connections: u64,
    pub intervals: Vec<Interval>,
}

/// Loads a server for `time`, while its models are swapped and bad clients connect.
pub async fn measure(launcher: &Launcher<'_>, texts: &Texts, plan: &Plan, time: Duration) -> Outcome<Soak> {
    let folder = tempfile::tempdir()?;
    let versions = two_versions(folder.path())?;
    let live = folder.path().to_string_lossy().into_owned();
    let server = launcher.start_with(System::Dateline, &["--model", &live]).await?;
    let requests = texts.requests(BASE.bytes);
    let capacity = load::closed_loop(&server, &BASE, &requests, (plan.warm_up(), plan.time())).await?;
    let rate = LOAD * capacity.articles_per_second;
    let minutes = time.as_secs_f64() / 60.0;
    eprintln!("soak: {rate:.0} articles/s for {minutes:.0} minutes ({:.0} % of the throughput)", 100.0 * LOAD);
    let (mut swaps, mut bad) = (0, 0);
    let intervals = tokio::select! {
        intervals = intervals(&server, &requests, rate, time) => intervals?,
        failed = swap(folder.path(), &versions, &mut swaps) => match failed? {},
        failed = bad_clients(&server, &requests, &mut bad) => match failed? {},
    };
    Ok(Soak { articles_per_second: rate, swaps, bad_connections: bad, intervals })
}

/// Publishes two versions of the bundled model in a folder. They differ in the recorded seed, and so in their version.
fn two_versions(folder: &Path) -> Outcome<[String; 2]> {
    let bundled = Model::bundled()?;
    let store = Store::open(folder)?;
    let mut versions = Vec::new();
    for seed in [1, 2] {
        let mut manifest = bundled.manifest().clone();
        manifest.seed = seed;
        let (manifest, tensors) = model::encode(bundled.topics(), bundled.regions(), manifest)?;
        let version = Model::open(&manifest, &tensors)?.version().to_owned();
        store.publish(&version, &[(MANIFEST.to_owned(), manifest), (TENSORS.to_owned(), tensors)])?;
        versions.push(version);
    }
    <[String; 2]>::try_from(versions).map_err(|_| "two versions were published".into())
}

/// Puts the two versions in service by turns: replaces the file that names the current one.
async fn swap(folder: &Path, versions: &[String; 2], swaps: &mut u64) -> Outcome<Infallible> {
    let temporary = folder.join("next");
    let begun = Instant::now();
    for version in versions.iter().cycle() {
        let pause = if begun.elapsed() < WARM_UP { WARM_UP_SWAP_EVERY } else { SWAP_EVERY };
        tokio::time::sleep(pause).await;
        fs::write(&temporary, format!("{version}\n"))?;
        fs::rename(&temporary, folder.join(CURRENT))?;
        *swaps += 1;
    }
    Err("there are no versions".into())
}

/// Sends articles at a constant rate, and reads what the server uses after each interval.
async fn intervals(server: &Server, requests: &[ClassifyRequest], rate: f64, time: Duration) -> Outcome<Vec<Interval>> {
    load::open_loop(server, requests, rate, (Duration::ZERO, WARM_UP)).await?;
    let begun = Instant::now();
    let mut intervals = Vec::new();
    while begun.elapsed() < time {
        let mut latencies = load::open_loop(server, requests, rate, (Duration::ZERO, time / INTERVALS)).await?;
        latencies.sort_by(f64::total_cmp);
        let usage = machine::usage(server.pid()).ok_or("what the server uses cannot be read: this needs Linux")?;
        let done = Interval {
            minutes: begun.elapsed().as_secs_f64() / 60.0,
            articles: latencies.len(),
            p50_us: percentile(&latencies, 50.0),
            p99_us: percentile(&latencies, 99.0),
            resident_bytes: usage.resident_bytes,
            descriptors: usage.descriptors,
            threads: usage.threads,
        };
        eprintln!("{done}");
        intervals.push(done);
    }
    Ok(intervals)
}

impl fmt::Display for Interval {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            out,
            "{:6.1} min: {:6} articles, p50 {:5.1} ms, p99 {:6.1} ms, {:5.1} MB, {} descriptors, {} threads",
            self.minutes,
            self.articles,
            self.p50_us / 1e3,
            self.p99_us / 1e3,
            self.resident_bytes as f64 / 1e6,
            self.descriptors,
            self.threads
        )
    }
}

/// Connects as bad clients do, without end. What they get in answer does not matter.
async fn bad_clients(server: &Server, requests: &[ClassifyRequest], connections: &mut u64) -> Outcome<Infallible> {
    let mut ticks = interval(BAD_EVERY);
    let mut unread = Unread::default();
    for (turn, request) in requests.iter().cycle().enumerate() {
        ticks.tick().await;
        *connections += 1;
        match turn % 6 {
            0 => calls_once(server, request).await?,
            1 => leaves_in_mid_stream(server, request).await?,
            2 => sends_garbage(server, b"GET / HTTP/1.1\r\n\r\n\0\0\0\xFF\xFF").await?,
            3 => {
                sends_garbage(server, b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\xFF\xFF\xFF\x01\x04\0\0\0\x01garbage").await?
            }
            4 => sends_too_much(server, request).await?,
            _ => unread.go_on(server, request).await?,
        }
    }
    Err("there are no articles".into())
}

/// A new connection for one call.
async fn calls_once(server: &Server, request: &ClassifyRequest) -> Outcome<()> {
    server.connect().await?.classify(request.clone()).await?;
    Ok(())
}

/// A client that closes its connection while articles are in process.
async fn leaves_in_mid_stream(server: &Server, request: &ClassifyRequest) -> Outcome<()> {
    let requests = vec![request.clone(); 20];
    let mut answers = server.connect().await?.classify_stream(tokio_stream::iter(requests)).await?.into_inner();
    answers.message().await?;
    Ok(())
}

/// A connection with bytes that are not gRPC.
async fn sends_garbage(server: &Server, bytes: &[u8]) -> Outcome<()> {
    let mut connection = TcpStream::connect(server.address()).await?;
    connection.write_all(bytes).await?;
    Ok(())
}

/// An article over the limit for messages, which must be refused.
async fn sends_too_much(server: &Server, request: &ClassifyRequest) -> Outcome<()> {
    let mut request = request.clone();
    request.article.get_or_insert_default().body = "word ".repeat(TOO_LARGE / 5);
    match server.connect().await?.classify(request).await {
        Err(_) => Ok(()),
        Ok(_) => Err("a message over the limit was answered".into()),
    }
}

/// A client that sends articles on a stream and never reads the answers. The server ends such streams; then it opens another.
#[derive(Default)]
struct Unread {
    stream: Option<(mpsc::Sender<ClassifyRequest>, tokio::task::JoinHandle<()>)>,
}

impl Unread {
    async fn go_on(&mut self, server: &Server, request: &ClassifyRequest) -> Outcome<()> {
        if self.stream.as_ref().is_none_or(|(send, _)| send.is_closed()) {
            let (send, requests) = mpsc::channel(1);
            let mut client = server.connect().await?;
            let holder = tokio::spawn(async move {
                // The answers are held and not read.
                let _answers = client.classify_stream(ReceiverStream::new(requests)).await;
                std::future::pending::<()>().await;
            });
            self.stream = Some((send, holder));
        }
        if let Some((send, _)) = &self.stream {
            // As many as the stream takes.
            while send.try_send(request.clone()).is_ok() {
                sleep(Duration::from_millis(1)).await;
            }
        }
        Ok(())
    }
}

impl Drop for Unread {
    fn drop(&mut self) {
        if let Some((_, holder)) = &self.stream {
            holder.abort();
        }
    }
}

impl Soak {
    /// The median of a figure in a third of the soak: 0, 1 or 2.
    fn median_of(&self, third: usize, figure: impl Fn(&Interval) -> f64) -> f64 {
        let n = self.intervals.len();
        let part: Range<usize> = third * n / 3..(third + 1) * n / 3;
        median(self.intervals[part].iter().map(figure)).unwrap_or(f64::NAN)
    }

    /// What grew: empty if the soak has passed.
    pub fn faults(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut check = |what: &str, figure: Figure, most: fn(f64) -> f64| {
            let [first, last] = [0, 2].map(|third| self.median_of(third, figure));
            if last.is_nan() || last > most(first) {
                faults.push(format!("{what}: {first:.1} in the first third, {last:.1} in the last one"));
            }
        };
        check("memory, MB", |one| one.resident_bytes as f64 / 1e6, |first| first * MEMORY_GROWTH);
        check("descriptors", |one| one.descriptors as f64, |first| first + MORE as f64);
        check("threads", |one| one.threads as f64, |first| first + MORE as f64);
        faults
    }
}

impl fmt::Display for Soak {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let articles: usize = self.intervals.iter().map(|one| one.articles).sum();
        let (swaps, bad) = (self.swaps, self.bad_connections);
        writeln!(
            out,
            "{articles} articles at {:.0}/s, {swaps} model swaps, {bad} bad connections\n",
            self.articles_per_second
        )?;
        writeln!(out, "| median            | first third | second third | last third |")?;
        writeln!(out, "| ----------------- | ----------: | -----------: | ---------: |")?;
        let rows: [(&str, Figure); 5] = [
            ("resident, MB", |one| one.resident_bytes as f64 / 1e6),
            ("descriptors", |one| one.descriptors as f64),
            ("threads", |one| one.threads as f64),
            ("latency p50, ms", |one| one.p50_us / 1e3),
            ("latency p99, ms", |one| one.p99_us / 1e3),
        ];
        for (name, figure) in rows {
            let [first, second, last] = [0, 1, 2].map(|third| self.median_of(third, figure));
            writeln!(out, "| {name:<17} | {first:11.1} | {second:12.1} | {last:10.1} |")?;
        }
        Ok(())
    }
}

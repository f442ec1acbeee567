//! Plots of the figures, as SVG.

use crate::{
    Outcome,
    figures::{Call, Figures, Latency},
    servers::System,
    soak::{Interval, Soak},
    throughput::BASE,
};
use plotters::{
    coord::{
        Shift,
        ranged1d::{AsRangedCoord, Ranged, ValueFormatter},
    },
    element::DashedPathElement,
    prelude::*,
};
use std::{fs, path::Path};

const SIZE: (u32, u32) = (640, 420);
/// The height of title and legend.
const HEAD: u32 = 64;
const LEGEND_LEFT: i32 = 74;
const LEGEND_STEP: i32 = 140;

const INK: RGBColor = RGBColor(38, 70, 120);
const OTHER: RGBColor = RGBColor(190, 80, 50);
const FAINT: RGBColor = RGBColor(225, 225, 225);

/// A curve and its name in the legend.
struct Curve {
    name: String,
    color: RGBColor,
    is_dashed: bool,
    points: Vec<(f64, f64)>,
}

/// The texts of a plot.
struct Labels<'a> {
    title: &'a str,
    x: &'a str,
    y: &'a str,
}

/// The names of plots, with their SVG.
pub type Plots = Vec<(&'static str, String)>;

/// The plots of a benchmark.
pub fn of_figures(figures: &Figures) -> Outcome<Plots> {
    Ok(vec![
        ("throughput-streams.svg", throughput(figures)?),
        ("latency-load.svg", latency(figures)?),
        ("cost-length.svg", lengths(figures)?),
    ])
}

/// The plots of a soak.
pub fn of_soak(soak: &Soak) -> Outcome<Plots> {
    let curve = |name: &str, color, is_dashed, figure: fn(&Interval) -> f64| {
        let points = soak.intervals.iter().map(|interval| (interval.minutes, figure(interval))).collect();
        Curve { name: name.to_owned(), color, is_dashed, points }
    };
    let plot = |title, y, curves: &[Curve]| {
        let greatest = curves.iter().flat_map(|curve| &curve.points).fold(0.0_f64, |most, point| point.1.max(most));
        draw(&Labels { title, x: "minutes", y }, 0.0..greatest_x(curves), 0.0..greatest * 1.2, curves)
    };
    let memory = [curve("resident", INK, false, |one| one.resident_bytes as f64 / 1e6)];
    let counts = [
        curve("descriptors", INK, false, |one| one.descriptors as f64),
        curve("threads", OTHER, false, |one| one.threads as f64),
    ];
    let latency = [curve("p50", INK, false, |one| one.p50_us / 1e3), curve("p99", INK, true, |one| one.p99_us / 1e3)];
    Ok(vec![
        ("soak-memory.svg", plot("Memory at 80 % load, with swaps and bad clients", "resident memory, MB", &memory)?),
        ("soak-counts.svg", plot("Descriptors and threads", "number", &counts)?),
        ("soak-latency.svg", plot("Latency of each interval", "latency, ms", &latency)?),
    ])
}

/// Writes plots to a folder, which is created.
pub fn write(plots: &Plots, folder: &Path) -> Outcome<()> {
    fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    for (name, svg) in plots {
        let file = folder.join(name);
        fs::write(&file, svg).map_err(|error| format!("cannot write {}: {error}", file.display()))?;
    }
    Ok(())
}

/// Throughput against the number of streams.
fn throughput(figures: &Figures) -> Outcome<String> {
    let curve = |system, color| {
        let found = figures.throughput.iter().filter(|found| {
            let workload = found.workload;
            found.system == system && workload.call == Call::Stream && workload.bytes == BASE.bytes
        });
        let points = found.map(|found| (found.workload.streams as f64, found.rate.articles_per_second)).collect();
        Curve { name: system.to_string(), color, is_dashed: false, points }
    };
    let curves = [curve(System::Dateline, INK), curve(System::Echo, OTHER)];
    let streams = greatest_x(&curves);
    let labels = Labels {
        title: "Throughput, articles of 4 KiB, 64 in flight over all streams",
        x: "streams on one connection",
        y: "articles per second",
    };
    draw(&labels, (0.9..streams * 1.1).log_scale().base(2.0), decades(&curves).log_scale(), &curves)
}

/// Latency against offered load.
fn latency(figures: &Figures) -> Outcome<String> {
    let curve = |system, name, color, is_dashed, figure: fn(&Latency) -> f64| {
        let found = figures.latency.iter().filter(|found| found.system == system);
        let points = found.map(|found| (f64::from(found.load_percent), figure(found) / 1e3)).collect();
        Curve { name: format!("{system}, {name}"), color, is_dashed, points }
    };
    let curves = [
        curve(System::Dateline, "p50", INK, false, |found| found.p50_us),
        curve(System::Dateline, "p99", INK, true, |found| found.p99_us),
        curve(System::Echo, "p50", OTHER, false, |found| found.p50_us),
        curve(System::Echo, "p99", OTHER, true, |found| found.p99_us),
    ];
    let labels = Labels {
        title: "Latency at a constant rate, articles of 4 KiB, one stream",
        x: "offered load, % of the server's own throughput",
        y: "latency, ms",
    };
    draw(&labels, 0.0..100.0, decades(&curves).log_scale(), &curves)
}

/// CPU time against the length of articles.
fn lengths(figures: &Figures) -> Outcome<String> {
    let curve = |system: System, color, points| Curve { name: system.to_string(), color, is_dashed: false, points };
    let costs = || figures.lengths.iter();
    let dateline = costs().map(|cost| (cost.words as f64, cost.dateline_us)).collect();
    let fasttext = costs().filter_map(|cost| Some((cost.words as f64, cost.fasttext_us?))).collect();
    let mut curves = vec![curve(System::Dateline, INK, dateline), curve(System::FastText, OTHER, fasttext)];
    curves.retain(|curve| !curve.points.is_empty());
    let words = greatest_x(&curves);
    let labels = Labels {
        title: "CPU time of an article, without a server, one thread",
        x: "words of the article",
        y: "CPU time, µs",
    };
    draw(&labels, (30.0..words * 1.5).log_scale(), decades(&curves).log_scale(), &curves)
}

/// The greatest x; at least 1.
fn greatest_x(curves: &[Curve]) -> f64 {
    curves.iter().flat_map(|curve| &curve.points).fold(1.0, |most, point| point.0.max(most))
}

/// The powers of ten around all y.
fn decades(curves: &[Curve]) -> std::ops::Range<f64> {
    let y = curves.iter().flat_map(|curve| &curve.points).map(|point| point.1);
    let (least, most) = y.fold((f64::MAX, f64::MIN_POSITIVE), |(least, most), y| (y.min(least), y.max(most)));
    let power = |exponent: f64| 10_f64.powf(exponent);
    // A little more, so that the first and the last one have a tick.
    power(least.min(most).log10().floor()) * 0.999..power(most.log10().ceil()) * 1.001
}

/// Draws title, legend, axes and curves.
fn draw<X, Y>(labels: &Labels<'_>, x: X, y: Y, curves: &[Curve]) -> Outcome<String>
where
    X: AsRangedCoord<Value = f64>,
    Y: AsRangedCoord<Value = f64>,
    X::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
    Y::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE)?;
        let (head, body) = area.split_vertically(HEAD);
        draw_head(&head, labels.title, curves)?;
        let mut chart = ChartBuilder::on(&body)
            .margin(12)
            .margin_right(24)
            .x_label_area_size(44)
            .y_label_area_size(62)
            .build_cartesian_2d(x, y)?;
        chart
            .configure_mesh()
            .x_desc(labels.x)
            .y_desc(labels.y)
            .x_label_formatter(&|value| tick(*value))
            .y_label_formatter(&|value| tick(*value))
            .label_style(("sans-serif", 12))
            .axis_desc_style(("sans-serif", 13))
            .bold_line_style(FAINT)
            .light_line_style(TRANSPARENT)
            .draw()?;
        for curve in curves {
            let points = curve.points.iter().copied();
            let style = curve.color.stroke_width(2);
            match curve.is_dashed {
                true => drop(chart.draw_series(DashedLineSeries::new(points.clone(), 6, 4, style))?),
                false => drop(chart.draw_series(LineSeries::new(points.clone(), style))?),
            }
            chart.draw_series(points.map(|point| Circle::new(point, 3, curve.color.filled())))?;
        }
        area.present()?;
    }
    Ok(svg)
}

/// Draws the title, and the legend in a row below it.
fn draw_head(area: &DrawingArea<SVGBackend<'_>, Shift>, title: &str, curves: &[Curve]) -> Outcome<()> {
    area.draw(&Text::new(title.to_owned(), (16, 12), ("sans-serif", 16).into_font()))?;
    for (curve, i) in curves.iter().zip(0..) {
        let left = LEGEND_LEFT + i * LEGEND_STEP;
        let (line, style) = ([(left, 48), (left + 26, 48)], curve.color.stroke_width(2));
        match curve.is_dashed {
            true => area.draw(&DashedPathElement::new(line, 6, 4, style))?,
            false => area.draw(&PathElement::new(line, style))?,
        }
        area.draw(&Text::new(curve.name.clone(), (left + 32, 42), ("sans-serif", 13).into_font()))?;
    }
    Ok(())
}

/// The label of a tick.
fn tick(value: f64) -> String {
    match value {
        value if value >= 1000.0 => crate::table::decimal(value.round()),
        value if value.fract().abs() < 1e-9 => format!("{value:.0}"),
        value => format!("{value:.2}").trim_end_matches('0').trim_end_matches('.').to_owned(),
    }
}

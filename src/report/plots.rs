//! The plots of a report, as SVG.

use super::data::{Bin, TopicReport};
use plotters::prelude::*;

type Drawn = Result<(), Box<dyn std::error::Error>>;

const INK: RGBColor = RGBColor(38, 70, 120);
const OTHER: RGBColor = RGBColor(190, 80, 50);
const FAINT: RGBColor = RGBColor(170, 170, 170);

/// A drawing of this size in pixels; a comment with the error if it cannot be drawn.
fn svg(size: (u32, u32), draw: impl FnOnce(&DrawingArea<SVGBackend<'_>, plotters::coord::Shift>) -> Drawn) -> String {
    let mut svg = String::new();
    let drawn = {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        draw(&area).and_then(|()| Ok(area.present()?))
    };
    match drawn {
        Ok(()) => svg,
        Err(error) => format!("<!-- not drawn: {} -->", error.to_string().replace("--", "")),
    }
}

/// Confidence against the share that is right; larger points stand for more predictions.
pub fn reliability(bins: &[Bin]) -> String {
    svg((420, 340), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..1.0, 0.0..1.0)?;
        chart.configure_mesh().x_desc("confidence").y_desc("right").light_line_style(TRANSPARENT).draw()?;
        chart.draw_series(LineSeries::new([(0.0, 0.0), (1.0, 1.0)], &FAINT))?;
        chart.draw_series(LineSeries::new(bins.iter().map(|bin| (bin.confidence, bin.right)), &INK))?;
        let most = bins.iter().map(|bin| bin.predictions).max().unwrap_or(1) as f64;
        let size = |bin: &Bin| 2.0 + 7.0 * (bin.predictions as f64 / most).sqrt();
        chart.draw_series(bins.iter().map(|bin| Circle::new((bin.confidence, bin.right), size(bin), INK.filled())))?;
        Ok(())
    })
}

/// The precision of the most confident answers, by their share of all.
pub fn coverage(points: &[(f64, f64)]) -> String {
    let least = points.iter().map(|point| point.1).fold(1.0, f64::min);
    svg((420, 340), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..1.0, (least - 0.02).max(0.0)..1.0)?;
        chart
            .configure_mesh()
            .x_desc("share of all articles, the most confident first")
            .y_desc("right")
            .light_line_style(TRANSPARENT)
            .draw()?;
        chart.draw_series(LineSeries::new(points.iter().copied(), INK.stroke_width(2)))?;
        Ok(())
    })
}

/// Accuracy by the number of rows learned from.
pub fn learning(points: &[(usize, f64)]) -> String {
    let most = points.iter().map(|point| point.0).max().unwrap_or(1) as f64;
    let (low, high) =
        points.iter().fold((1.0_f64, 0.0_f64), |(low, high), point| (low.min(point.1), high.max(point.1)));
    svg((420, 340), |area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(40)
            .y_label_area_size(50)
            .build_cartesian_2d(0.0..most * 1.05, (low - 0.03).max(0.0)..(high + 0.03).min(1.0))?;
        chart
            .configure_mesh()
            .x_desc("rows learned from")
            .y_desc("accuracy")
            .x_label_formatter(&|rows| format!("{rows:.0}"))
            .light_line_style(TRANSPARENT)
            .draw()?;
        let points = || points.iter().map(|(rows, accuracy)| (*rows as f64, *accuracy));
        chart.draw_series(LineSeries::new(points(), &INK))?;
        chart.draw_series(points().map(|point| Circle::new(point, 4, OTHER.filled())))?;
        Ok(())
    })
}

/// Articles by true label (rows) and answered label (columns): the darker, the larger the share of its row.
pub fn confusion(report: &TopicReport, names: &[String]) -> String {
    let n = report.confusion_labels.len();
    let cell = if n <= 20 { 30 } else { 22 };
    let (left, top) = (190, 150);
    let size = (left + cell * n as i32 + 10, top + cell * n as i32 + 10);
    svg((size.0 as u32, size.1 as u32), |area| {
        for (i, row) in report.confusion.iter().enumerate() {
            let all: usize = row.iter().sum();
            for (j, count) in row.iter().enumerate() {
                let share = *count as f64 / all.max(1) as f64;
                let (x, y) = (left + j as i32 * cell, top + i as i32 * cell);
                // The last ones are no label: what is none, or any other.
                let ink = if i == j && i + 1 < n { INK } else { OTHER };
                let shade = ink.mix(if *count == 0 { 0.0 } else { 0.08 + 0.92 * share });
                area.draw(&Rectangle::new([(x, y), (x + cell - 1, y + cell - 1)], shade.filled()))?;
                if *count > 0 && cell >= 30 {
                    let color = if share > 0.5 { WHITE } else { BLACK };
                    let style = ("sans-serif", 10).into_font().color(&color);
                    area.draw(&Text::new(count.to_string(), (x + 3, y + cell / 2 - 5), style))?;
                }
            }
            let style = ("sans-serif", 11).into_font().color(&BLACK);
            area.draw(&Text::new(short(&names[i]), (6, top + i as i32 * cell + cell / 2 - 6), style.clone()))?;
            let turned = ("sans-serif", 11).into_font().transform(FontTransform::Rotate270).color(&BLACK);
            area.draw(&Text::new(short(&names[i]), (left + i as i32 * cell + cell / 2 - 6, top - 6), turned))?;
        }
        Ok(())
    })
}

fn short(name: &str) -> String {
    const MOST: usize = 28;
    if name.chars().count() <= MOST { name.to_owned() } else { name.chars().take(MOST - 1).chain(['…']).collect() }
}

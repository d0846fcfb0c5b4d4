//! Figures as a picture: which part of the answers took longer, and the load at the fullest server over time.

use plotters::{
    coord::Shift,
    element::DashedPathElement,
    prelude::*,
    style::text_anchor::{HPos, Pos, VPos},
};

use crate::{
    axis::Logarithmic,
    curves::{Curves, LEAST},
    play::Played,
    table,
};

const WIDTH: i32 = 1500;
const TITLE: i32 = 44;
const CHARTS: i32 = 560;
/// Of the legend's lines and columns.
const LINE: i32 = 22;
const COLUMN: i32 = 370;
const FONT: &str = "sans-serif";

/// As many as are told apart; after them the same again, dashed, and dotted.
const COLOURS: [RGBColor; 10] = [
    RGBColor(31, 119, 180),
    RGBColor(255, 127, 14),
    RGBColor(44, 160, 44),
    RGBColor(214, 39, 40),
    RGBColor(148, 103, 189),
    RGBColor(140, 86, 75),
    RGBColor(227, 119, 194),
    RGBColor(127, 127, 127),
    RGBColor(188, 189, 34),
    RGBColor(23, 190, 207),
];

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn<'a> = Result<(), DrawingAreaErrorKind<<SVGBackend<'a> as DrawingBackend>::ErrorType>>;

/// How a line looks.
#[derive(Clone, Copy)]
struct Look {
    style: ShapeStyle,
    /// Pixels of a dash and of the gap behind it.
    dash: Option<(i32, i32)>,
}

impl Look {
    /// Of the reference, and then of each strategy.
    fn of(index: usize) -> Self {
        let Some(strategy) = index.checked_sub(1) else {
            return Self {
                style: BLACK.stroke_width(2),
                dash: None,
            };
        };
        let dashes = [None, Some((7, 4)), Some((2, 3))];
        Self {
            style: COLOURS[strategy % COLOURS.len()].stroke_width(2),
            dash: dashes[strategy / COLOURS.len() % dashes.len()],
        }
    }
}

/// The bytes of an SVG.
pub(crate) fn draw(played: &Played) -> Result<String, Box<dyn std::error::Error>> {
    let strategies = played.comparison.strategies.iter().map(|compared| &*compared.strategy);
    let names: Vec<&str> = ["reference"].into_iter().chain(strategies).collect();
    let columns = (WIDTH / COLUMN) as usize;
    let lines = names.len().div_ceil(columns);
    let height = TITLE + CHARTS + LINE * (lines as i32 + 1);
    let mut svg = String::new();
    {
        let root = SVGBackend::with_string(&mut svg, (WIDTH as u32, height as u32)).into_drawing_area();
        root.fill(&WHITE)?;
        let (title, rest) = root.split_vertically(TITLE);
        let centre = (FONT, 20).into_font().into_text_style(&title);
        let centre = centre.pos(Pos::new(HPos::Center, VPos::Center));
        title.draw_text(&table::title(&played.comparison), &centre, (WIDTH / 2, TITLE / 2))?;
        let (charts, legend) = rest.split_vertically(CHARTS);
        let (left, right) = charts.split_horizontally(WIDTH / 2);
        draw_slower(&left, &played.curves)?;
        draw_fullest(&right, &played.curves)?;
        for (index, name) in names.iter().enumerate() {
            let (column, line) = (index / lines, index % lines);
            draw_name(
                &legend,
                name,
                Look::of(index),
                (column as i32 * COLUMN + 60, line as i32 * LINE + LINE / 2),
            )?;
        }
        root.present()?;
    }
    Ok(svg)
}

/// The left chart: both axes are logarithmic, as it is the few slow ones that strategies differ in.
fn draw_slower<'a>(area: &Area<'a>, curves: &[Curves]) -> Drawn<'a> {
    let points = curves.iter().flat_map(|curves| &curves.slower);
    // Who is faster than nine in ten would take half of the axis.
    let shown = points.filter(|(_, part)| *part <= 0.9);
    let latency = Logarithmic::around(shown.map(|(millis, _)| *millis), 1.03);
    let least = latency.least();
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(50)
        .y_label_area_size(70)
        .build_cartesian_2d(latency, Logarithmic::around([LEAST, 1.0].into_iter(), 1.001))?;
    chart
        .configure_mesh()
        .x_desc("latency in ms (logarithmic)")
        .y_desc("part of the answers that took longer (logarithmic)")
        .axis_desc_style((FONT, 15))
        .label_style((FONT, 13))
        .y_label_formatter(&|part| format!("{}%", round(part * 100.0)))
        .x_label_formatter(&|millis| round(*millis).to_string())
        .draw()?;
    for (index, curves) in curves.iter().enumerate() {
        let shown = curves.slower.iter().copied().filter(|(millis, _)| *millis >= least);
        draw_line(&mut chart, Look::of(index), shown.collect())?;
    }
    Ok(())
}

/// The right chart.
fn draw_fullest<'a>(area: &Area<'a>, curves: &[Curves]) -> Drawn<'a> {
    let points = || curves.iter().flat_map(|curves| &curves.fullest);
    let end = points().map(|(seconds, _)| *seconds).fold(f64::MIN_POSITIVE, f64::max);
    // Of no requests there is no logarithm.
    let load = Logarithmic::around(points().map(|(_, load)| load.max(0.5)), 1.1);
    let mut chart = ChartBuilder::on(area)
        .margin(10)
        .x_label_area_size(50)
        .y_label_area_size(70)
        .build_cartesian_2d(0.0..end, load)?;
    chart
        .configure_mesh()
        .x_desc("time in s")
        .y_desc("requests at the fullest server (logarithmic)")
        .axis_desc_style((FONT, 15))
        .label_style((FONT, 13))
        .x_label_formatter(&|seconds| round(*seconds).to_string())
        .y_label_formatter(&|load| round(*load).to_string())
        .light_line_style(WHITE)
        .draw()?;
    for (index, curves) in curves.iter().enumerate() {
        let points = curves.fullest.iter().map(|(seconds, load)| (*seconds, load.max(0.5)));
        draw_line(&mut chart, Look::of(index), points.collect())?;
    }
    Ok(())
}

fn draw_line<'a, X, Y>(
    chart: &mut ChartContext<'_, SVGBackend<'a>, Cartesian2d<X, Y>>,
    look: Look,
    points: Vec<(f64, f64)>,
) -> Drawn<'a>
where
    X: Ranged<ValueType = f64>,
    Y: Ranged<ValueType = f64>,
{
    match look.dash {
        None => chart.draw_series(LineSeries::new(points, look.style)).map(|_| ()),
        Some((dash, gap)) => chart
            .draw_series(DashedLineSeries::new(points, dash, gap, look.style))
            .map(|_| ()),
    }
}

/// A line of the legend.
fn draw_name<'a>(area: &Area<'a>, name: &str, look: Look, (x, y): (i32, i32)) -> Drawn<'a> {
    let ends = [(x, y), (x + 36, y)];
    match look.dash {
        None => area.draw(&PathElement::new(ends, look.style))?,
        Some((dash, gap)) => area.draw(&DashedPathElement::new(ends, dash, gap, look.style))?,
    }
    let text = (FONT, 14).into_font().into_text_style(area);
    area.draw_text(name, &text.pos(Pos::new(HPos::Left, VPos::Center)), (x + 46, y))
}

/// Without digits that are of no use.
fn round(number: f64) -> f64 {
    let digits = 10_f64.powf(3.0 - number.abs().max(1e-9).log10().ceil());
    (number * digits).round() / digits
}

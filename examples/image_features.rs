//! Measures every picture of a folder in parallel: size, colours, edges; one row of a CSV file each.
//!
//! Run it: `cargo run --release --example image_features [DIR]`. Without a folder it draws pictures of its own. The rows are
//! left in `--output`. What cannot be read as PNG or JPEG is told and left out; it does not end the run.
//!
//! Expected output:
//!
//! ```text
//! 24 pictures with 0.46 megapixels, 1 file that is none
//! not read: torn.png: unexpected end of file
//! brightest:  disc-23.jpg with 145 of 255
//! most edges: checks-00.png with 41 of 100 pixels
//! ```
use anyhow::{Result, ensure};
use clap::Parser;
use image::{GrayImage, Luma, Rgb, RgbImage};
use quiltwork::data::{self, FilePartition, Partitioned, Single};
use quiltwork::prelude::*;
use serde::{Deserialize, Serialize};
use std::fs;
use std::path::{Path, PathBuf};

/// Measure every PNG and JPEG file below a folder.
#[derive(Parser)]
struct Options {
    /// The folder; pictures of its own unless told otherwise.
    directory: Option<PathBuf>,
    /// Worker processes, one slot each.
    #[arg(long, default_value_t = 2)]
    workers: usize,
    /// Leave the CSV file in this folder.
    #[arg(long)]
    output: Option<PathBuf>,
}

/// A row of the CSV file. Colours go from 0 to 255.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Features {
    file: String,
    width: u32,
    height: u32,
    red_mean: f64,
    red_deviation: f64,
    green_mean: f64,
    green_deviation: f64,
    blue_mean: f64,
    blue_deviation: f64,
    /// The part of the pixels where brightness changes steeply.
    edges: f64,
}

/// Edges are where the gradient of the brightness is at least this.
const STEEP: f64 = 200.0;

impl Features {
    fn of(path: &Path) -> image::ImageResult<Self> {
        let picture = image::ImageReader::open(path)?.with_guessed_format()?.decode()?;
        let (colours, brightness) = (picture.to_rgb8(), picture.to_luma8());
        let [(red_mean, red_deviation), (green_mean, green_deviation), (blue_mean, blue_deviation)] =
            [0, 1, 2].map(|channel| mean_and_deviation(colours.pixels().map(|pixel| f64::from(pixel[channel]))));
        Ok(Self {
            file: name(path),
            width: colours.width(),
            height: colours.height(),
            red_mean,
            red_deviation,
            green_mean,
            green_deviation,
            blue_mean,
            blue_deviation,
            edges: edges(&brightness),
        })
    }

    fn brightness(&self) -> f64 {
        (self.red_mean + self.green_mean + self.blue_mean) / 3.0
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn mean_and_deviation(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (count, sum, squares) =
        values.fold((0.0, 0.0, 0.0), |(count, sum, squares), v| (count + 1.0, sum + v, squares + v * v));
    let mean = sum / f64::max(count, 1.0);
    (mean, (squares / f64::max(count, 1.0) - mean * mean).max(0.0).sqrt())
}

/// The part of the pixels at which Sobel's gradient is steep; those at the border have none.
fn edges(picture: &GrayImage) -> f64 {
    let at = |x, y| {
        let Luma([brightness]) = *picture.get_pixel(x, y);
        f64::from(brightness)
    };
    let (width, height) = picture.dimensions();
    let inner = (1..height.saturating_sub(1)).flat_map(|y| (1..width.saturating_sub(1)).map(move |x| (x, y)));
    let steep = inner.filter(|&(x, y)| {
        let column = |x| at(x, y - 1) + 2.0 * at(x, y) + at(x, y + 1);
        let row = |y| at(x - 1, y) + 2.0 * at(x, y) + at(x + 1, y);
        f64::hypot(column(x + 1) - column(x - 1), row(y + 1) - row(y - 1)) >= STEEP
    });
    steep.count() as f64 / f64::from(width * height).max(1.0)
}

/// A file that is no picture, and why.
type Unread = (String, String);

#[quiltwork::pipeline]
fn features(
    files: Partitioned<FilePartition>,
    output: PathBuf,
) -> (Partitioned<Features>, Partitioned<Unread>, Single<Vec<PathBuf>>) {
    let paths =
        files.flat_map(|partition| partition.slices().iter().map(|slice| slice.path().to_owned()).collect::<Vec<_>>());
    let read = paths.map(|path| Features::of(&path).map_err(|error| (name(&path), error.to_string()))).persist();
    let rows = read.clone().flat_map(Result::ok).persist();
    (rows.clone(), read.flat_map(Result::err), rows.repartition(1).write_csv(output))
}

#[quiltwork::main]
async fn main() -> Result<()> {
    let options = Options::parse();
    let scratch = tempfile::tempdir()?;
    let directory = options.directory.unwrap_or_else(|| scratch.path().join("pictures"));
    if directory.starts_with(&scratch) {
        draw_pictures(&directory)?;
    }
    let listing = data::files(&directory).extensions(["png", "PNG", "jpg", "JPG", "jpeg", "JPEG"]).whole().list()?;
    ensure!(
        !listing.files().is_empty(),
        "there is no picture in {}\n  hint: name a folder with PNG or JPEG files",
        directory.display()
    );

    let cluster = LocalCluster::builder().workers(options.workers).start().await?;
    let output = options.output.unwrap_or_else(|| scratch.path().join("features"));
    let run = features(listing.partitions(4 * options.workers), output).progress().run(cluster.client());
    let (rows, unread, _) = run.await?;
    print(&rows, &unread);
    Ok(())
}

fn print(rows: &[Features], unread: &[Unread]) {
    let pixels: u64 = rows.iter().map(|row| u64::from(row.width) * u64::from(row.height)).sum();
    let files = if unread.len() == 1 { "file that is" } else { "files that are" };
    println!("{} pictures with {:.2} megapixels, {} {files} none", rows.len(), pixels as f64 / 1e6, unread.len());
    for (file, reason) in unread {
        println!("not read: {file}: {reason}");
    }
    if let Some(row) = rows.iter().max_by(|a, b| a.brightness().total_cmp(&b.brightness())) {
        println!("brightest:  {} with {:.0} of 255", row.file, row.brightness());
    }
    if let Some(row) = rows.iter().max_by(|a, b| a.edges.total_cmp(&b.edges)) {
        println!("most edges: {} with {:.0} of 100 pixels", row.file, 100.0 * row.edges);
    }
}

/// Pictures of three kinds, half of them PNG and half JPEG, and a file that is torn.
fn draw_pictures(folder: &Path) -> Result<()> {
    const SIZE: u32 = 160;
    fs::create_dir_all(folder)?;
    for number in 0..24_u32 {
        let shade = |x: u32, y: u32| match number % 3 {
            0 => 255 * ((x / (8 + number) + y / (8 + number)) % 2),
            1 => (x + y) * 255 / (2 * SIZE + number),
            _ => 255 * u32::from((80_u32.abs_diff(x)).pow(2) + (60_u32.abs_diff(y)).pow(2) < (20 + 2 * number).pow(2)),
        };
        let colour = |x, y| {
            Rgb([shade(x, y), shade(x, y) / 2 + 4 * number, 255 - shade(x, y)].map(|value| value.min(255) as u8))
        };
        let picture = RgbImage::from_fn(SIZE, SIZE * 3 / 4, colour);
        let kind = ["checks", "slope", "disc"][number as usize % 3];
        let format = if number % 2 == 0 { "png" } else { "jpg" };
        picture.save(folder.join(format!("{kind}-{number:02}.{format}")))?;
    }
    let whole = fs::read(folder.join("checks-00.png"))?;
    Ok(fs::write(folder.join("torn.png"), &whole[..whole.len() / 2])?)
}

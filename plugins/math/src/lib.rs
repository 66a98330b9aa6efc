//! A component with a world of its own: no SDK, no `describe`, nothing of Milepost. A workflow calls its functions with `call`.

#[expect(unsafe_code, reason = "generated")]
mod bindings {
    wit_bindgen::generate!({ world: "math", path: "wit" });
    use super::Math;
    export!(Math);
}

use bindings::Guest as World;
use bindings::exports::example::math::statistics::{Error, Guest, Outlier, Side, Summary};

struct Math;

impl Guest for Math {
    fn summarize(values: Vec<f64>) -> Result<Summary, Error> {
        summary(&values)
    }

    fn outliers(values: Vec<f64>, factor: Option<f64>) -> Result<Vec<Outlier>, Error> {
        let of = summary(&values)?;
        let most = factor.unwrap_or(3.0) * of.deviation;
        eprintln!("{} values, up to {most} around {}", of.count, of.mean);
        let far = (0..).zip(values).filter_map(|(index, value)| {
            let side = if value < of.mean {
                Side::Low
            } else {
                Side::High
            };
            let outlier = Outlier { index, value, side };
            ((value - of.mean).abs() > most).then_some(outlier)
        });
        Ok(far.collect())
    }
}

impl World for Math {
    fn describe(of: Vec<f64>, unit: Option<String>) -> String {
        let unit = unit.map(|unit| format!(" {unit}")).unwrap_or_default();
        match summary(&of) {
            Ok(of) => format!(
                "{} values from {}{unit} to {}{unit}, half of them up to {}{unit}",
                of.count, of.least, of.greatest, of.median
            ),
            Err(Error::Empty) => "no values".to_owned(),
            Err(Error::NotFinite(index)) => format!("the value at {index} is no number"),
        }
    }
}

fn summary(values: &[f64]) -> Result<Summary, Error> {
    let mut sorted = values.to_vec();
    if let Some(index) = (0..).zip(values).find(|(_, value)| !value.is_finite()) {
        return Err(Error::NotFinite(index.0));
    }
    sorted.sort_by(f64::total_cmp);
    let (Some(least), Some(greatest)) = (sorted.first(), sorted.last()) else {
        return Err(Error::Empty);
    };
    let count = sorted.len();
    let middle = count / 2;
    let mean = values.iter().sum::<f64>() / count as f64;
    let variance = values
        .iter()
        .map(|value| (value - mean).powi(2))
        .sum::<f64>()
        / count as f64;
    Ok(Summary {
        count: count as u32,
        mean,
        median: match count % 2 {
            0 => f64::midpoint(sorted[middle - 1], sorted[middle]),
            _ => sorted[middle],
        },
        deviation: variance.sqrt(),
        least: *least,
        greatest: *greatest,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]
    use super::*;

    #[test]
    fn a_list_in_a_few_numbers() {
        let of = summary(&[4.0, 1.0, 1.0, 2.0]).unwrap();
        assert_eq!((of.count, of.mean, of.median), (4, 2.0, 1.5));
        assert_eq!((of.least, of.greatest), (1.0, 4.0));
        assert!(matches!(summary(&[]), Err(Error::Empty)));
        assert!(matches!(
            summary(&[1.0, f64::NAN]),
            Err(Error::NotFinite(1))
        ));
    }
}

//! The orders as a CSV file in EUR, and what they come to.

use std::collections::BTreeMap;
use std::io::Write;

use milepost_sdk::artifacts::{Artifact, Writer};
use milepost_sdk::{Context, Error, HostError, Result, Schema, Step};
use serde::{Deserialize, Serialize};

use crate::rates::BASE;
use crate::{Order, money};

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TableInput {
    orders: Vec<Order>,
    /// What one of a currency is worth in EUR.
    rates: BTreeMap<String, String>,
    /// Name of the artifact.
    #[serde(default = "file")]
    file: String,
}

fn file() -> String {
    "orders.csv".to_owned()
}

#[derive(Serialize, Schema)]
pub(crate) struct TableOutput {
    /// All orders, one a line.
    csv: Artifact,
    orders: usize,
    /// EUR
    total: f64,
    by_currency: Vec<OfCurrency>,
    /// The largest first.
    by_customer: Vec<OfCustomer>,
}

#[derive(Serialize, Schema)]
struct OfCurrency {
    currency: String,
    orders: usize,
    amount: f64,
    rate: String,
    eur: f64,
}

#[derive(Serialize, Schema)]
struct OfCustomer {
    customer: String,
    orders: usize,
    eur: f64,
}

#[derive(Default)]
struct Sum {
    orders: usize,
    cents: i64,
    eur: i64,
}

impl Sum {
    fn add(&mut self, cents: i64, eur: i64) {
        self.orders += 1;
        self.cents = self.cents.saturating_add(cents);
        self.eur = self.eur.saturating_add(eur);
    }
}

pub(crate) struct Table;

impl Step for Table {
    const NAME: &'static str = "table";
    const DESCRIPTION: &'static str =
        "Converts orders to EUR, writes them as CSV, and sums them up by currency and customer.";
    type Input = TableInput;
    type Output = TableOutput;

    fn run(input: TableInput, _: &Context) -> Result<TableOutput> {
        let mut csv = Writer::create(&input.file, "text/csv")?;
        let mut total = Sum::default();
        let (mut currencies, mut customers) = (BTreeMap::new(), BTreeMap::new());
        line(
            &mut csv,
            &["id", "day", "customer", "currency", "amount", "eur"],
        )?;
        for order in &input.orders {
            let (cents, eur) = amounts(order, &input.rates)?;
            total.add(cents, eur);
            let of_currency: &mut Sum = currencies.entry(order.currency.as_str()).or_default();
            of_currency.add(cents, eur);
            let of_customer: &mut Sum = customers.entry(order.customer.as_str()).or_default();
            of_customer.add(cents, eur);
            line(
                &mut csv,
                &[
                    &order.id,
                    &order.day,
                    &order.customer,
                    &order.currency,
                    &order.amount,
                    &money::text(eur),
                ],
            )?;
        }
        let by_currency = currencies.into_iter().map(|(currency, sum)| OfCurrency {
            rate: input.rates[currency].clone(),
            currency: currency.to_owned(),
            orders: sum.orders,
            amount: money::number(sum.cents),
            eur: money::number(sum.eur),
        });
        let mut customers: Vec<(&str, Sum)> = customers.into_iter().collect();
        customers.sort_by_key(|(_, sum)| -sum.eur);
        let by_customer = customers.into_iter().map(|(customer, sum)| OfCustomer {
            customer: customer.to_owned(),
            orders: sum.orders,
            eur: money::number(sum.eur),
        });
        Ok(TableOutput {
            orders: total.orders,
            total: money::number(total.eur),
            by_currency: by_currency.collect(),
            by_customer: by_customer.collect(),
            csv: csv.finish()?,
        })
    }
}

/// Hundredths of the order's currency and of EUR.
fn amounts(order: &Order, rates: &BTreeMap<String, String>) -> Result<(i64, i64)> {
    let Order {
        id,
        currency,
        amount,
        ..
    } = order;
    let failed = |code: &str, message: String| Err(Error::failed(code, message).into());
    let Some(cents) = money::cents(amount) else {
        return failed(
            "invalid_order",
            format!("order {id}: `{amount}` is no amount"),
        );
    };
    let Some(rate) = rates.get(currency) else {
        return failed(
            "no_rate",
            format!("order {id}: {currency} has no rate in {BASE}"),
        );
    };
    match money::convert(cents, rate) {
        Some(eur) => Ok((cents, eur)),
        None => failed(
            "no_rate",
            format!("the rate of {currency} cannot be read: `{rate}`"),
        ),
    }
}

/// Writes a record. Quoted is what would be read otherwise.
fn line(to: &mut impl Write, cells: &[&str]) -> Result<(), HostError> {
    let quoted = cells
        .iter()
        .map(|cell| match cell.contains([',', '"', '\n', '\r']) {
            true => format!("\"{}\"", cell.replace('"', "\"\"")),
            false => (*cell).to_owned(),
        });
    let record = quoted.collect::<Vec<_>>().join(",") + "\n";
    to.write_all(record.as_bytes()).map_err(|error| HostError {
        code: "io".to_owned(),
        message: error.to_string(),
        transient: false,
    })
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "a test")]

    use std::io::Read as _;

    use milepost_sdk::artifacts::Reader;
    use serde_json::{Value, json};

    use super::*;
    use crate::PLUGIN;

    fn run(orders: &Value) -> std::result::Result<Value, String> {
        let input = json!({ "orders": orders, "rates": { "EUR": "1", "USD": "0.923447" } });
        let output = PLUGIN.run("table", &input.to_string(), &Context::fake());
        output
            .map(|output| serde_json::from_str(&output).unwrap())
            .map_err(|error| error.to_string())
    }

    fn order(id: &str, customer: &str, currency: &str, amount: &str) -> Value {
        json!({ "id": id, "day": "2026-10-01", "customer": customer, "currency": currency, "amount": amount })
    }

    #[test]
    fn orders_become_a_file_and_sums() {
        let orders = json!([
            order("1", "A \"&\" B, Inc.", "USD", "10"),
            order("2", "C", "EUR", "20.50"),
            order("3", "C", "USD", "0.01"),
        ]);
        let output = run(&orders).unwrap();
        assert_eq!(
            (&output["orders"], &output["total"]),
            (&json!(3), &json!(29.74))
        );
        assert_eq!(
            output["by_currency"][1],
            json!({ "currency": "USD", "orders": 2, "amount": 10.01, "rate": "0.923447", "eur": 9.24 })
        );
        assert_eq!(
            output["by_customer"][0],
            json!({ "customer": "C", "orders": 2, "eur": 20.51 })
        );
        let mut csv = String::new();
        let digest = output["csv"]["digest"].as_str().unwrap();
        Reader::open(digest)
            .unwrap()
            .read_to_string(&mut csv)
            .unwrap();
        let expected = "id,day,customer,currency,amount,eur\n\
            1,2026-10-01,\"A \"\"&\"\" B, Inc.\",USD,10,9.23\n\
            2,2026-10-01,C,EUR,20.50,20.50\n\
            3,2026-10-01,C,USD,0.01,0.01\n";
        assert_eq!(csv, expected);
    }

    #[test]
    fn an_order_that_cannot_be_converted_is_named() {
        for (order, code, says) in [
            (
                order("7", "C", "USD", "1,5"),
                "invalid_order",
                "order 7: `1,5` is no amount",
            ),
            (
                order("8", "C", "CHF", "1"),
                "no_rate",
                "order 8: CHF has no rate in EUR",
            ),
        ] {
            let error = run(&json!([order])).unwrap_err();
            assert!(error.contains(code) && error.contains(says), "{error}");
        }
    }
}

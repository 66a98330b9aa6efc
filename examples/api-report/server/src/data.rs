//! What the API has: orders of a month, and what currencies were worth at its end. Always the same.

use std::fmt::Write as _;

/// Orders of a page.
const PAGE: usize = 25;
/// Pages.
pub const PAGES: usize = 12;

const CUSTOMERS: [&str; 8] = [
    "Northwind Tea",
    "Café Lumière",
    "Hoshi Books",
    "Alder & Sons",
    "Brückner GmbH",
    "Maison Vert",
    "Kestrel Cycles",
    "Tidewater, Inc.",
];

/// A currency, what one of it is worth in EUR, and whether it has cents.
const CURRENCIES: [(&str, &str, bool); 5] = [
    ("EUR", "1", true),
    ("USD", "0.923447", true),
    ("GBP", "1.188213", true),
    ("CHF", "1.064102", true),
    ("JPY", "0.006038", false),
];

/// The currencies whose rates have to be asked for.
pub fn foreign() -> impl Iterator<Item = &'static str> {
    CURRENCIES
        .iter()
        .map(|(code, ..)| *code)
        .filter(|code| *code != "EUR")
}

/// The document of a page, from 1, with the path of the next one; `None` where there is no such page.
pub(crate) fn page(number: usize) -> Option<String> {
    if !(1..=PAGES).contains(&number) {
        return None;
    }
    let first = (number - 1) * PAGE;
    let orders: Vec<String> = (first..first + PAGE).map(order).collect();
    let next = match number < PAGES {
        true => format!("\"/orders?page={}\"", number + 1),
        false => "null".to_owned(),
    };
    Some(format!(
        "{{\"orders\":[{}],\"next\":{next}}}",
        orders.join(",")
    ))
}

fn order(number: usize) -> String {
    let dice = dice(number as u64);
    let customer = CUSTOMERS[dice as usize % CUSTOMERS.len()];
    let (currency, _, cents) = CURRENCIES[(dice >> 8) as usize % CURRENCIES.len()];
    let amount = 5 + (dice >> 16) % 400;
    let mut text = String::new();
    let _ = match cents {
        true => write!(text, "{amount}.{:02}", (dice >> 32) % 100),
        false => write!(text, "{}", amount * 150),
    };
    let day = 1 + number * 31 / (PAGE * PAGES);
    format!(
        "{{\"id\":\"A{:04}\",\"day\":\"2026-10-{day:02}\",\"customer\":\"{customer}\",\"currency\":\"{currency}\",\"amount\":\"{text}\"}}",
        number + 1
    )
}

/// A number that looks like chance (SplitMix64).
fn dice(number: u64) -> u64 {
    let mut dice = number.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    dice = (dice ^ (dice >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    dice = (dice ^ (dice >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    dice ^ (dice >> 31)
}

/// What one of that currency was worth on a day.
pub(crate) fn rate(currency: &str, day: &str) -> Option<String> {
    let (_, rate, _) = CURRENCIES.iter().find(|(code, ..)| *code == currency)?;
    Some(format!(
        "{{\"currency\":\"{currency}\",\"day\":\"{day}\",\"eur\":\"{rate}\"}}"
    ))
}

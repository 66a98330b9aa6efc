//! Capability `http`: one request, one buffered response.

mod address;
mod client;
mod connect;
mod errors;
mod pool;
mod request;
#[cfg(test)]
mod tests;

pub use client::{HttpClient, HttpSettings};
pub use connect::Resolve;

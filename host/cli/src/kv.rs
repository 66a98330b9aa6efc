//! `milepost kv`: looks into buckets, and changes what is in them.

use std::path::PathBuf;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use clap::{Args, Subcommand};
use milepost::core::effect::{Applied, KvChange, KvItem};
use milepost::core::limits;
use milepost::core::shown::{self, Shown};
use milepost::store::{Attempts as _, Store};
use milepost::wasm::bounded_file;

use super::context::{Context, Reply};
use super::documents::{Bucket, Buckets, Changed, Item};
use super::drive::wait;
use super::exit::Exit;
use super::failure::{Code, Failure};
use super::table::{Cell, Table};
use super::text::Text;
use super::words::advice::command;
use super::{format, place, shell};
use milepost::whole_file;

/// Look into buckets, and change what is in them
///
/// Components keep state that outlives a run in buckets of keys and values, which all runs of a store share.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  milepost kv ls                        # the buckets
  milepost kv ls rates --prefix EUR     # keys of one
  milepost kv get rates EUR
  milepost kv put rates EUR 1.08
  milepost kv rm rates EUR")]
pub(crate) struct KvArgs {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// List the buckets, or the keys of one
    Ls {
        /// The bucket
        bucket: Option<String>,
        /// Only keys that begin with this
        #[arg(long, value_name = "TEXT", default_value = "", requires = "bucket")]
        prefix: String,
    },
    /// Print the value of a key: as it is into a pipe or a file, escaped on a terminal
    Get {
        /// The bucket
        bucket: String,
        /// The key
        key: String,
        /// Write the value to a file
        #[arg(long, short, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Set the value of a key
    Put {
        /// The bucket; it comes into being with its first key
        bucket: String,
        /// The key
        key: String,
        /// The value
        #[arg(required_unless_present = "file")]
        value: Option<String>,
        /// Take the value from a file
        #[arg(long, value_name = "FILE", conflicts_with = "value")]
        file: Option<PathBuf>,
        /// Only if the key has this revision; 0: only if it is not there
        #[arg(long, value_name = "REVISION")]
        over: Option<u64>,
    },
    /// Remove a key
    Rm {
        /// The bucket
        bucket: String,
        /// The key
        key: String,
    },
}

pub(super) fn run(args: &KvArgs, cx: &Context) -> Result<Reply, Failure> {
    match &args.what {
        What::Ls {
            bucket: None,
            prefix: _,
        } => buckets(cx),
        What::Ls {
            bucket: Some(bucket),
            prefix,
        } => keys(bucket, prefix, cx),
        What::Get {
            bucket,
            key,
            output,
        } => get(bucket, key, output.as_ref(), cx),
        What::Put {
            bucket,
            key,
            value,
            file,
            over,
        } => {
            let value = match file {
                Some(file) => {
                    bounded_file::read(file, limits::KV_VALUE_BYTES).map_err(|error| {
                        Failure::new(
                            Code::File,
                            format!("cannot read {}: {error}", Shown(file.display())),
                        )
                    })?
                }
                None => value.clone().unwrap_or_default().into_bytes(),
            };
            change(bucket, key, Some(value), *over, cx)
        }
        What::Rm { bucket, key } => change(bucket, key, None, None, cx),
    }
}

/// Rows that are read at once.
const PAGE: usize = 1_000;

/// All buckets of a store.
pub(super) fn all_buckets(store: &dyn Store) -> Result<Vec<Bucket>, Failure> {
    let mut all: Vec<Bucket> = Vec::new();
    loop {
        let after = all.last().map(|bucket| bucket.name.as_str());
        let page = wait(store.buckets(after, PAGE))?;
        if page.is_empty() {
            return Ok(all);
        }
        all.extend(page.into_iter().map(|bucket| Bucket {
            name: bucket.name,
            keys: bucket.keys,
            bytes: bucket.bytes,
        }));
    }
}

fn buckets(cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_to_read(&cx.store)?;
    let all = all_buckets(store.as_ref())?;
    let document = || Buckets {
        buckets: all.clone(),
    };
    Ok(cx.reply(Exit::Completed, document, || {
        if all.is_empty() {
            return Text::from("no buckets");
        }
        let mut table = Table::new(["BUCKET".into(), "KEYS".into(), "SIZE".into()]);
        for bucket in &all {
            table.row([
                Cell::from(bucket.name.as_str()),
                bucket.keys.to_string().into(),
                shown::bytes(bucket.bytes).into(),
            ]);
        }
        table.render()
    }))
}

fn keys(bucket: &str, prefix: &str, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_to_read(&cx.store)?;
    let mut keys = stored_keys(store, bucket.to_owned(), prefix.to_owned()).peekable();
    if keys.peek().is_none() && !cx.json {
        return Ok(Reply::text(Exit::Completed, "no keys"));
    }
    let line = |key: &String| Text::from(key).one_line();
    cx.list(("bucket", bucket), "keys", keys, String::clone, line)
}

/// Keys of a bucket, of which one page is in memory.
fn stored_keys(
    store: Arc<dyn Store>,
    bucket: String,
    prefix: String,
) -> impl Iterator<Item = Result<String, Failure>> {
    let mut after: Option<String> = None;
    let mut page = Vec::new().into_iter();
    let mut is_over = false;
    std::iter::from_fn(move || {
        if page.len() == 0 && !is_over {
            page = match wait(store.kv_keys(&bucket, &prefix, after.as_deref(), PAGE)) {
                Ok(next) => next.into_iter(),
                Err(error) => {
                    is_over = true;
                    return Some(Err(error));
                }
            };
        }
        let key: String = page.next()?;
        after = Some(key.clone());
        Some(Ok(key))
    })
}

fn no_key(bucket: &str, key: &str) -> Failure {
    let message = format!("the bucket `{bucket}` has no key `{key}`");
    let help = command(format!("kv ls {}", shell::argument(bucket))).text(" lists its keys");
    Failure::new(Code::NoKey, message).help(help)
}

fn get(bucket: &str, key: &str, output: Option<&PathBuf>, cx: &Context) -> Result<Reply, Failure> {
    let store = place::open_to_read(&cx.store)?;
    let found = wait(store.kv(bucket, key))?;
    let Some(KvItem {
        revision,
        value: Some(value),
    }) = found
    else {
        return Err(no_key(bucket, key));
    };
    let text = std::str::from_utf8(&value).ok();
    if let Some(file) = output {
        whole_file::replace(file, &value).map_err(|error| Failure::file("write", file, &error))?;
    } else if !cx.json && !cx.terminal {
        return Ok(Reply::bytes(
            Exit::Completed,
            std::iter::once(Ok(value.to_vec())),
        ));
    } else if text.is_none() && !cx.json {
        return Err(
            Failure::new(Code::NotText, format!("the value of `{key}` is not text"))
                .help("write it to a file with `-o FILE`"),
        );
    }
    let document = || Item {
        bucket: bucket.to_owned(),
        key: key.to_owned(),
        revision,
        value: text.map(str::to_owned),
        value_base64: text.is_none().then(|| STANDARD.encode(&value)),
    };
    Ok(
        cx.reply(Exit::Completed, document, || match (output, text) {
            (None, Some(text)) => text.to_owned(),
            _ => format!(
                "{} written, revision {revision}",
                format::count(value.len(), "byte")
            ),
        }),
    )
}

fn change(
    bucket: &str,
    key: &str,
    value: Option<Vec<u8>>,
    over: Option<u64>,
    cx: &Context,
) -> Result<Reply, Failure> {
    for (what, text) in [("bucket", bucket), ("key", key)] {
        if text.is_empty() || text.len() > limits::KEY_BYTES || text.contains('\0') {
            return Err(Failure::new(
                Code::Usage,
                format!(
                    "the name of a {what} has between 1 and {} bytes, and no NUL character",
                    limits::KEY_BYTES
                ),
            ));
        }
    }
    let value: Option<Arc<[u8]>> = value.map(Into::into);
    if value
        .as_ref()
        .is_some_and(|value| value.len() > limits::KV_VALUE_BYTES)
    {
        let most = shown::bytes(limits::KV_VALUE_BYTES as u64);
        let message = format!("a value has {most} at most");
        return Err(Failure::new(Code::TooLarge, message));
    }
    let store = place::open_or_create(&cx.store)?;
    loop {
        let present = wait(store.kv(bucket, key))?;
        let revision = present.as_ref().map_or(0, |item| item.revision);
        let there = present.is_some_and(|item| item.value.is_some());
        if value.is_none() && !there {
            return Err(no_key(bucket, key));
        }
        let stands = if there { revision } else { 0 };
        if over.is_some_and(|over| over != stands) {
            let message = match there {
                true => format!("`{key}` has the revision {revision}"),
                false => format!("the bucket `{bucket}` has no key `{key}`"),
            };
            return Err(Failure::new(Code::Conflict, message).help(
                command(format!(
                    "kv get {} {}",
                    shell::word(bucket),
                    shell::word(key)
                ))
                .text(" shows what is there"),
            ));
        }
        let change = KvChange {
            bucket: bucket.to_owned(),
            key: key.to_owned(),
            over: revision,
            value: value.clone(),
        };
        match wait(store.kv_change(change))? {
            Applied::Done => {
                let document = || Changed {
                    bucket: bucket.to_owned(),
                    key: key.to_owned(),
                    revision: revision + 1,
                    removed: value.is_none(),
                };
                return Ok(
                    cx.reply(Exit::Completed, document, || match value.is_none() {
                        true => "removed".to_owned(),
                        false => format!("revision {}", revision + 1),
                    }),
                );
            }
            // A run was faster: look again. (Only an artifact can be gone.)
            Applied::Conflict | Applied::Gone => {}
            Applied::Full => {
                let most = shown::bytes(limits::KV_BUCKET_BYTES as u64);
                let message = format!("the bucket `{bucket}` would take more than {most}");
                return Err(Failure::new(Code::TooLarge, message)
                    .help("remove keys that nobody needs, or use another bucket"));
            }
        }
    }
}

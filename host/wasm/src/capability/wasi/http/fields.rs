//! Headers. Names are compared without regard to case, and come back in small letters.

use std::sync::Arc;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use wasmtime::component::Resource;

use super::bindings::wasi::http::types::{HeaderError, HostFields};
use crate::capability::http::HEADER_BYTES;
use crate::capability::http::request::is_own;
use crate::capability::http::room::Held;
use crate::limits::Refusal;
use crate::state::HostState;

/// Some headers.
#[expect(unreachable_pub, reason = "the generated bindings re-export it")]
pub struct Fields {
    pub(super) map: Arc<HeaderMap>,
    /// Whether they may be changed; those of a request or a response may not.
    own: bool,
    held: Held,
}

type Changed = wasmtime::Result<Result<(), HeaderError>>;

/// What a header takes.
fn bytes(name: &HeaderName, value: &HeaderValue) -> usize {
    name.as_str().len() + value.len() + HEADER_BYTES
}

fn parse_name(name: &str) -> Result<HeaderName, HeaderError> {
    HeaderName::from_bytes(name.as_bytes()).map_err(|_| HeaderError::InvalidSyntax)
}

/// The name of a header that the guest may set.
fn settable(name: &str) -> Result<HeaderName, HeaderError> {
    let name = parse_name(name)?;
    // A request says by itself how long it is; libraries say so, too.
    if is_own(&name) && name != hyper::header::CONTENT_LENGTH {
        return Err(HeaderError::Forbidden);
    }
    Ok(name)
}

fn parse_value(value: &[u8]) -> Result<HeaderValue, HeaderError> {
    HeaderValue::from_bytes(value).map_err(|_| HeaderError::InvalidSyntax)
}

impl Fields {
    /// The map, to be changed.
    fn changed(&mut self) -> Result<&mut HeaderMap, HeaderError> {
        match self.own {
            true => Ok(Arc::make_mut(&mut self.map)),
            false => Err(HeaderError::Immutable),
        }
    }

    fn append(&mut self, name: HeaderName, value: HeaderValue) -> wasmtime::Result<()> {
        if !self.held.grow(bytes(&name, &value)) {
            return Err(Refusal::HttpHeld.into());
        }
        let map = Arc::make_mut(&mut self.map);
        map.try_append(name, value).map_err(|_| Refusal::HttpHeld)?;
        Ok(())
    }

    fn remove(&mut self, name: &HeaderName) -> Result<Vec<HeaderValue>, HeaderError> {
        let removed = match self.changed()?.entry(name) {
            hyper::header::Entry::Occupied(entry) => entry.remove_entry_mult().1.collect(),
            hyper::header::Entry::Vacant(_) => Vec::new(),
        };
        let freed = removed.iter().map(|value| bytes(name, value)).sum();
        self.held.shrink(freed);
        Ok(removed)
    }
}

impl HostState {
    /// Headers that cannot be changed.
    pub(super) fn read_only_fields(
        &mut self,
        map: &Arc<HeaderMap>,
    ) -> wasmtime::Result<Resource<Fields>> {
        let held = self.hold(HEADER_BYTES)?;
        Ok(self.resources.push(Fields {
            map: Arc::clone(map),
            own: false,
            held,
        })?)
    }

    fn fields(&mut self, fields: &Resource<Fields>) -> wasmtime::Result<&mut Fields> {
        self.charge()?;
        Ok(self.resources.get_mut(fields)?)
    }
}

impl HostFields for HostState {
    fn new(&mut self) -> wasmtime::Result<Resource<Fields>> {
        self.charge()?;
        let held = self.hold(HEADER_BYTES)?;
        Ok(self.resources.push(Fields {
            map: Arc::default(),
            own: true,
            held,
        })?)
    }

    fn from_list(
        &mut self,
        entries: Vec<(String, Vec<u8>)>,
    ) -> wasmtime::Result<Result<Resource<Fields>, HeaderError>> {
        self.charge()?;
        let mut fields = Fields {
            map: Arc::default(),
            own: true,
            held: self.hold(HEADER_BYTES)?,
        };
        for (name, value) in &entries {
            match (settable(name), parse_value(value)) {
                (Ok(name), Ok(value)) => fields.append(name, value)?,
                (Err(error), _) | (_, Err(error)) => return Ok(Err(error)),
            }
        }
        Ok(Ok(self.resources.push(fields)?))
    }

    fn get(&mut self, fields: Resource<Fields>, name: String) -> wasmtime::Result<Vec<Vec<u8>>> {
        let map = &self.fields(&fields)?.map;
        let Ok(name) = parse_name(&name) else {
            return Ok(Vec::new());
        };
        let values = map.get_all(name).iter();
        Ok(values.map(|value| value.as_bytes().to_vec()).collect())
    }

    fn has(&mut self, fields: Resource<Fields>, name: String) -> wasmtime::Result<bool> {
        let map = &self.fields(&fields)?.map;
        Ok(parse_name(&name).is_ok_and(|name| map.contains_key(name)))
    }

    fn set(&mut self, fields: Resource<Fields>, name: String, values: Vec<Vec<u8>>) -> Changed {
        let fields = self.fields(&fields)?;
        let name = match settable(&name) {
            Ok(name) => name,
            Err(error) => return Ok(Err(error)),
        };
        let values: Result<Vec<_>, _> = values.iter().map(|value| parse_value(value)).collect();
        let values = match values {
            Ok(values) => values,
            Err(error) => return Ok(Err(error)),
        };
        if let Err(error) = fields.remove(&name) {
            return Ok(Err(error));
        }
        for value in values {
            fields.append(name.clone(), value)?;
        }
        Ok(Ok(()))
    }

    fn delete(&mut self, fields: Resource<Fields>, name: String) -> Changed {
        let fields = self.fields(&fields)?;
        Ok(settable(&name).and_then(|name| fields.remove(&name).map(drop)))
    }

    fn append(&mut self, fields: Resource<Fields>, name: String, value: Vec<u8>) -> Changed {
        let fields = self.fields(&fields)?;
        let parsed = fields
            .changed()
            .map(drop)
            .and_then(|()| Ok((settable(&name)?, parse_value(&value)?)));
        match parsed {
            Ok((name, value)) => fields.append(name, value).map(Ok),
            Err(error) => Ok(Err(error)),
        }
    }

    fn entries(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Vec<(String, Vec<u8>)>> {
        let entries = self.fields(&fields)?.map.iter();
        let entries =
            entries.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec()));
        Ok(entries.collect())
    }

    fn clone(&mut self, fields: Resource<Fields>) -> wasmtime::Result<Resource<Fields>> {
        let map = Arc::clone(&self.fields(&fields)?.map);
        let of_headers: usize = map.iter().map(|(name, value)| bytes(name, value)).sum();
        let held = self.hold(HEADER_BYTES + of_headers)?;
        let own = true;
        Ok(self.resources.push(Fields { map, own, held })?)
    }

    fn drop(&mut self, fields: Resource<Fields>) -> wasmtime::Result<()> {
        self.charge()?;
        self.resources.delete(fields)?;
        Ok(())
    }
}

//! Output streams, which end as log lines.

use wasmtime_wasi::async_trait;
use wasmtime_wasi::cli::{IsTerminal, StdoutStream};
use wasmtime_wasi::p2::{OutputStream, Pollable, StreamError, StreamResult};
use wasmtime_wasi_io::bytes::Bytes;

use crate::log::{Log, Stdio};

/// Bytes that a guest may write to an output stream at once.
const WRITE_BYTES: usize = 64 * 1024;

/// An output stream that ends as log lines.
pub(super) struct LogStream {
    pub(super) stdio: Stdio,
    pub(super) log: Log,
}

impl IsTerminal for LogStream {
    fn is_terminal(&self) -> bool {
        false
    }
}

impl StdoutStream for LogStream {
    /// Only WASI p2 is linked, which asks for [`StdoutStream::p2_stream`].
    fn async_stream(&self) -> Box<dyn tokio::io::AsyncWrite + Send + Sync> {
        Box::new(tokio::io::sink())
    }

    fn p2_stream(&self) -> Box<dyn OutputStream> {
        Box::new(LogStream {
            stdio: self.stdio,
            log: self.log.clone(),
        })
    }
}

#[async_trait]
impl Pollable for LogStream {
    /// The calls that block on a stream wait here until the host has shown what was written.
    async fn ready(&mut self) {
        self.log.show().await;
    }
}

impl OutputStream for LogStream {
    fn write(&mut self, bytes: Bytes) -> StreamResult<()> {
        if bytes.len() > WRITE_BYTES {
            return Err(StreamError::trap(
                "more was written than `check-write` allows",
            ));
        }
        self.log.write(self.stdio, &bytes);
        Ok(())
    }

    fn flush(&mut self) -> StreamResult<()> {
        Ok(())
    }

    fn check_write(&mut self) -> StreamResult<usize> {
        Ok(WRITE_BYTES)
    }
}

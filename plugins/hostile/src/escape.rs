//! Steps that reach for what lies outside the sandbox, and report what they got.

use std::io::Write as _;

use milepost_sdk::{Context, Result, Schema, Step};
use serde::{Deserialize, Serialize};

use crate::exhaust::Nothing;

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ExitInput {
    code: i32,
}

#[derive(Serialize, Schema)]
pub(crate) struct Never {}

pub(crate) struct Exit;

impl Step for Exit {
    const NAME: &'static str = "exit";
    const DESCRIPTION: &'static str = "Ends the process, as far as a component has one.";
    type Input = ExitInput;
    type Output = Never;

    fn run(input: ExitInput, _: &Context) -> Result<Never> {
        std::process::exit(input.code)
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrintInput {
    #[serde(default)]
    stdout: String,
    #[serde(default)]
    stderr: String,
}

/// What the host did with it: `ok`, or the error.
#[derive(Serialize, Schema)]
pub(crate) struct PrintOutput {
    stdout: String,
    stderr: String,
}

pub(crate) struct Print;

impl Step for Print {
    const NAME: &'static str = "print";
    const DESCRIPTION: &'static str = "Writes to stdout and stderr.";
    type Input = PrintInput;
    type Output = PrintOutput;

    fn run(input: PrintInput, _: &Context) -> Result<PrintOutput> {
        let mut stdout = std::io::stdout();
        let printed = stdout.write_all(input.stdout.as_bytes());
        Ok(PrintOutput {
            stdout: verdict(printed.and_then(|()| stdout.flush())),
            stderr: verdict(std::io::stderr().write_all(input.stderr.as_bytes())),
        })
    }
}

fn verdict<T, E: std::fmt::Display>(result: std::result::Result<T, E>) -> String {
    match result {
        Ok(_) => "ok".to_owned(),
        Err(error) => error.to_string(),
    }
}

#[derive(Serialize, Schema)]
pub(crate) struct EnvironmentOutput {
    /// `NAME=value`, sorted.
    variables: Vec<String>,
    arguments: Vec<String>,
}

pub(crate) struct Environment;

impl Step for Environment {
    const NAME: &'static str = "environment";
    const DESCRIPTION: &'static str = "Lists environment variables and arguments.";
    type Input = Nothing;
    type Output = EnvironmentOutput;

    fn run(_: Nothing, _: &Context) -> Result<EnvironmentOutput> {
        let lossy = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        let mut variables: Vec<String> = std::env::vars_os()
            .map(|(name, value)| format!("{}={}", lossy(name), lossy(value)))
            .collect();
        variables.sort();
        Ok(EnvironmentOutput {
            variables,
            arguments: std::env::args_os().map(lossy).collect(),
        })
    }
}

#[derive(Deserialize, Schema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FilesInput {
    /// Files to read and folders to list.
    paths: Vec<String>,
}

#[derive(Serialize, Schema)]
pub(crate) struct FilesOutput {
    /// `ok`, or the error, in the order of the paths.
    read: Vec<String>,
    list: Vec<String>,
    /// Creating a file of that name.
    create: Vec<String>,
}

pub(crate) struct Files;

impl Step for Files {
    const NAME: &'static str = "files";
    const DESCRIPTION: &'static str = "Tries to read, list and create files.";
    type Input = FilesInput;
    type Output = FilesOutput;

    fn run(input: FilesInput, _: &Context) -> Result<FilesOutput> {
        let each = |probe: fn(&str) -> String| input.paths.iter().map(|p| probe(p)).collect();
        Ok(FilesOutput {
            read: each(|path| verdict(std::fs::read(path))),
            list: each(|path| verdict(std::fs::read_dir(path))),
            create: each(|path| verdict(std::fs::File::create_new(path))),
        })
    }
}

/// `ok`, or the error.
#[derive(Serialize, Schema)]
pub(crate) struct SocketsOutput {
    connect: String,
    listen: String,
    datagram: String,
    look_up: String,
}

pub(crate) struct Sockets;

impl Step for Sockets {
    const NAME: &'static str = "sockets";
    const DESCRIPTION: &'static str =
        "Tries to connect, to listen, to send a datagram and to look up a name.";
    type Input = Nothing;
    type Output = SocketsOutput;

    fn run(_: Nothing, _: &Context) -> Result<SocketsOutput> {
        Ok(SocketsOutput {
            connect: verdict(sockets::connect()),
            listen: verdict(sockets::listen()),
            datagram: verdict(sockets::datagram()),
            look_up: verdict(sockets::look_up()),
        })
    }
}

#[cfg(all(target_os = "wasi", target_env = "p2"))]
mod sockets {
    use wasip2::sockets::network::{
        ErrorCode, IpAddressFamily, IpSocketAddress, Ipv4SocketAddress,
    };
    use wasip2::sockets::{instance_network, ip_name_lookup, tcp_create_socket, udp_create_socket};

    type Result = std::result::Result<(), ErrorCode>;

    const FAMILY: IpAddressFamily = IpAddressFamily::Ipv4;

    fn local(port: u16) -> IpSocketAddress {
        IpSocketAddress::Ipv4(Ipv4SocketAddress {
            port,
            address: (127, 0, 0, 1),
        })
    }

    pub(super) fn connect() -> Result {
        let socket = tcp_create_socket::create_tcp_socket(FAMILY)?;
        socket.start_connect(&instance_network::instance_network(), local(9))?;
        socket.subscribe().block();
        socket.finish_connect().map(|_| ())
    }

    pub(super) fn listen() -> Result {
        let socket = tcp_create_socket::create_tcp_socket(FAMILY)?;
        socket.start_bind(&instance_network::instance_network(), local(0))?;
        socket.finish_bind()?;
        socket.start_listen()?;
        socket.finish_listen()
    }

    pub(super) fn datagram() -> Result {
        let socket = udp_create_socket::create_udp_socket(FAMILY)?;
        socket.start_bind(&instance_network::instance_network(), local(0))?;
        socket.finish_bind()?;
        socket.stream(Some(local(9))).map(|_| ())
    }

    pub(super) fn look_up() -> Result {
        let network = instance_network::instance_network();
        let addresses = ip_name_lookup::resolve_addresses(&network, "localhost")?;
        addresses.subscribe().block();
        addresses.resolve_next_address().map(|_| ())
    }
}

/// Where there is no sandbox there is nothing to probe.
#[cfg(not(all(target_os = "wasi", target_env = "p2")))]
mod sockets {
    type Result = std::result::Result<(), &'static str>;

    pub(super) fn connect() -> Result {
        Err("no sandbox")
    }

    pub(super) fn listen() -> Result {
        Err("no sandbox")
    }

    pub(super) fn datagram() -> Result {
        Err("no sandbox")
    }

    pub(super) fn look_up() -> Result {
        Err("no sandbox")
    }
}

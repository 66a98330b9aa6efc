//! `orders-api [--port N] [--refuses-every N] [--retry-after SECONDS] [COMMAND ..]`: serves on 127.0.0.1 while the command runs, and says then
//! what it was asked. Without a command it serves until it is ended; `GET /log` says the same.

use std::process::{Command, ExitCode};

use orders_api::{Api, Settings};

const USAGE: &str =
    "usage: orders-api [--port N] [--refuses-every N] [--retry-after SECONDS] [COMMAND ..]";

fn main() -> ExitCode {
    match run() {
        Ok(code) => code,
        Err(problem) => {
            eprintln!("orders-api: {problem}");
            ExitCode::from(64)
        }
    }
}

fn run() -> Result<ExitCode, String> {
    let mut settings = Settings::default();
    let mut arguments = std::env::args().skip(1);
    let mut command = None;
    while let Some(argument) = arguments.next() {
        let mut number = || -> Result<u64, String> {
            let value = arguments.next().and_then(|value| value.parse().ok());
            value.ok_or_else(|| format!("{argument} needs a number; {USAGE}"))
        };
        match argument.as_str() {
            "--port" => {
                settings.port = number()?
                    .try_into()
                    .map_err(|_| format!("no such port; {USAGE}"))?;
            }
            "--refuses-every" => settings.refuses_every = number()?,
            "--retry-after" => settings.retry_after = number()?,
            "--" => {
                command = arguments.next();
                break;
            }
            _ if argument.starts_with('-') => return Err(USAGE.to_owned()),
            _ => {
                command = Some(argument);
                break;
            }
        }
    }
    let api = Api::start(settings)
        .map_err(|error| format!("port {} of 127.0.0.1: {error}", settings.port))?;
    let Some(program) = command else {
        eprintln!(
            "orders-api: on http://127.0.0.1:{}; `GET /log` says what it was asked",
            api.port()
        );
        loop {
            std::thread::park();
        }
    };
    let ended = Command::new(&program).args(arguments).status();
    let ended = ended.map_err(|error| format!("{program}: {error}"))?;
    eprint!("orders-api was asked:\n{}", api.summary());
    let code = ended.code().and_then(|code| u8::try_from(code).ok());
    Ok(ExitCode::from(code.unwrap_or(1)))
}

//! Words of a retry policy.

use super::Row;

pub(super) const RETRY: &[Row] = &[
    (
        &[
            "limit",
            "attempts",
            "count",
            "times",
            "maxretries",
            "retries",
            "maximumattempts",
            "maxattempt",
            "tries",
            "maxtries",
        ],
        Some("max_attempts"),
        "attempts are counted together, the first included: `max_attempts = 3`",
    ),
    (
        &[
            "delay",
            "interval",
            "intervalsec",
            "basedelay",
            "delayms",
            "intervalms",
            "initialinterval",
            "initialdelay",
            "every",
            "duration",
            "minbackoff",
            "delayseconds",
            "intervalseconds",
            "wait",
        ],
        Some("initial"),
        "the wait before the second attempt is `initial = \"10s\"`, and grows by `factor` up to `max`",
    ),
    (
        &["backoff", "exponentialbackoff", "exponential"],
        Some("factor"),
        "the wait before the second attempt is `initial`, and grows by `factor = 2` up to `max`",
    ),
    (
        &[
            "multiplier",
            "backoffcoefficient",
            "exponent",
            "rate",
            "base",
            "delayfactor",
        ],
        Some("factor"),
        "the wait grows with each attempt by `factor = 2`",
    ),
    (
        &[
            "maxinterval",
            "maximuminterval",
            "maxdelay",
            "cap",
            "maxduration",
            "maxintervalsec",
            "maxbackoff",
        ],
        Some("max"),
        "the longest wait is `max = \"60s\"`",
    ),
    (
        &[
            "retrypolicy",
            "retryon",
            "errors",
            "when",
            "if",
            "type",
            "behavior",
            "expression",
        ],
        Some("on"),
        "which failures are tried again is `on = [\"retryable\", \"timeout\"]`; of those, `codes` can name some",
    ),
    (
        &["nonretryableerrortypes", "exitcode", "exitcodes"],
        Some("codes"),
        "`codes` lists the codes of errors that are tried again",
    ),
];

//! What the codes mean that a component gets where the host does not do what it asks.

/// By code.
pub(super) const HOST_CODES: &[(&str, &str)] = &[
    (
        "denied",
        "The component asked for something that its `[plugins.NAME.allow]` does not grant, or that whoever drives the run has denied \
         (`--deny`). The message has the TOML to add.",
    ),
    (
        "private-address",
        "The host of the request has an address of this machine or of a private network, which a grant reaches only with \
         `private = true`.",
    ),
    (
        "insecure-secret",
        "The request has a secret in it and would go over plain `http`, where others can read it. Use `https`, or say in the grant that \
         this host may get secrets so.",
    ),
    (
        "insecure-redirect",
        "A response to a request over `https` sends on to plain `http`, which is not followed.",
    ),
    (
        "too-many-redirects",
        "Each response sends on to another place, more often than is followed.",
    ),
    (
        "unknown-host",
        "The name of the host has no address. That may pass, so the component may try again.",
    ),
    (
        "connect",
        "No connection to the host came about. That may pass, so the component may try again.",
    ),
    (
        "tls",
        "No secure connection to the host came about: mostly its certificate is not one that this machine trusts, or not for that name.",
    ),
    (
        "connection-lost",
        "The connection ended before the response was whole. The server may have done what it was asked; a request that must not be \
         done twice needs an idempotency key.",
    ),
    (
        "timeout",
        "There was no response in the time that the request has. The server may have done what it was asked.",
    ),
    (
        "invalid-request",
        "What the component wants to send is no request: the URL, the method or a header cannot be sent so. The message says what.",
    ),
    ("invalid-response", "What the server sent is not HTTP."),
    (
        "too-large",
        "Something is larger than the host takes: a body, a value, a key, all arguments of a program. The message names the most; a large \
         body goes through an artifact.",
    ),
    (
        "too-many",
        "The attempt has too many artifacts open, or has noted too much. It can go on when it finishes or drops one.",
    ),
    (
        "invalid",
        "The component asked with something that cannot be: a key without text, a name with a NUL in it, a relative folder. The message says \
         what.",
    ),
    (
        "not-found",
        "What the component asked for is not there: a program, a folder, an artifact, a secret without a value.",
    ),
    (
        "not-executable",
        "The file is there, but it is no program that may be executed here.",
    ),
    (
        "spawn",
        "The program could not be started: too many processes or files, or too little memory. That may pass, so the component may try \
         again.",
    ),
    (
        "conflict",
        "Somebody else changed the value meanwhile: the key has another revision than the one that was to be replaced, or the memo was settled \
         with another result. Read it again.",
    ),
    (
        "contains-secret",
        "A memo or a value for a bucket holds the value of a secret. It is not kept: secrets stand in nothing that is recorded.",
    ),
    (
        "cancelled",
        "The run is being cancelled, so what the component waited for was ended.",
    ),
    (
        "claim-lost",
        "Another process drives the run by now. What this attempt comes to does not count.",
    ),
    (
        "unavailable",
        "The host cannot do this now, or not here: the store does not answer, or this system runs no programs. The message says which.",
    ),
    (
        "damaged",
        "An artifact is not what was written: its file was changed or lost bytes. `milepost doctor --artifacts` names all of them.",
    ),
    (
        "unanswered",
        "On a tape: the attempt was ended, by its timeout or a cancellation, while it waited for this call. Whether it was done is not known.",
    ),
];

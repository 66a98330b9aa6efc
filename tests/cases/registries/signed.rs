//! Components that somebody has to have signed: what a lock names a key for.

use milepost::core::limits;
use milepost_tests::cli::Output;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _};

use super::{Cli, Digest, Registry, Value, component_of, forget, json, kept, lock, push, workflow};

/// Signs a message.
type Sign = dyn Fn(&[u8]) -> Vec<u8>;

/// Who signs as `cosign sign` does.
struct Signer {
    sign: Box<Sign>,
    /// `SubjectPublicKeyInfo`, in Base64.
    public: String,
}

impl Signer {
    fn p256() -> Self {
        let random = SystemRandom::new();
        let kind = &ECDSA_P256_SHA256_ASN1_SIGNING;
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(kind, &random).unwrap();
        let pair = EcdsaKeyPair::from_pkcs8(kind, pkcs8.as_ref(), &random).unwrap();
        let head = "3059301306072a8648ce3d020106082a8648ce3d030107034200";
        Self {
            public: base64(&[&unhex(head), pair.public_key().as_ref()].concat()),
            sign: Box::new(move |text| {
                pair.sign(&SystemRandom::new(), text)
                    .unwrap()
                    .as_ref()
                    .to_vec()
            }),
        }
    }

    fn ed25519() -> Self {
        let pkcs8 = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let pair = Ed25519KeyPair::from_pkcs8(pkcs8.as_ref()).unwrap();
        let head = "302a300506032b6570032100";
        Self {
            public: base64(&[&unhex(head), pair.public_key().as_ref()].concat()),
            sign: Box::new(move |text| pair.sign(text).as_ref().to_vec()),
        }
    }

    fn pem(&self) -> String {
        let public = &self.public;
        format!("-----BEGIN PUBLIC KEY-----\n{public}\n-----END PUBLIC KEY-----\n")
    }

    /// The layer of a signature of that manifest.
    fn signature(&self, registry: &Registry, manifest: &Digest) -> Value {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": "" },
                "image": { "docker-manifest-digest": manifest },
                "type": "cosign container image signature",
            },
            "optional": null,
        });
        let payload = payload.to_string().into_bytes();
        let media_type = "application/vnd.dev.cosign.simplesigning.v1+json";
        let mut layer = registry.put_blob(media_type, &payload);
        let signature = base64(&(self.sign)(&payload));
        layer["annotations"] = json!({ "dev.cosignproject.cosign/signature": signature });
        layer
    }
}

/// Puts signatures where they are looked for.
fn put(registry: &Registry, manifest: &Digest, layers: &[Value]) {
    let config = registry.put_blob("application/vnd.oci.image.config.v1+json", b"{}");
    let image = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": config,
        "layers": layers,
    });
    registry.put_manifest("words", &format!("sha256-{}.sig", manifest.hex()), &image);
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;

    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn unhex(text: &str) -> Vec<u8> {
    let digits = (0..text.len()).step_by(2);
    digits
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn refused(output: Output, says: &str) {
    let output = output.expect(65);
    let said = output.stderr + &output.stdout;
    assert!(said.contains(says), "{said}");
}

fn is_accepted_only_when_signed(name: &str, signer: &Signer) {
    let (registry, cli) = (Registry::new(), Cli::new());
    let source = registry.source("words:1");
    let digest = push(&component_of(&[name]), &source);
    let (_, manifest) = registry.manifest("words", "1");
    cli.write(
        "w.toml",
        workflow("here.wasm")
            .replace("plugins.text", "plugins.other")
            .replace("text/", "other/"),
    );
    cli.write("here.wasm", component_of(&[]));
    cli.write("w.pub", signer.pem());
    let add = format!("plugin add w.toml text {source} --key w.pub");

    refused(
        cli.run(&add),
        "the registry has no signature of it (`sha256-",
    );
    let other = Signer::p256();
    put(
        &registry,
        &manifest,
        &[other.signature(&registry, &manifest)],
    );
    refused(
        cli.run(&add),
        "none of its 1 signatures is one of the key that is named",
    );
    // What was signed for another one, and signed words that were changed.
    let mut changed = signer.signature(&registry, &manifest);
    let payload = registry.put_blob("x", b"{\"critical\":{}}");
    changed["digest"] = payload["digest"].clone();
    changed["size"] = payload["size"].clone();
    let elsewhere = signer.signature(&registry, &Digest::of(b"other"));
    put(&registry, &manifest, &[changed.clone(), elsewhere]);
    refused(
        cli.run(&add),
        "none of its 2 signatures is one of the key that is named",
    );
    let failed = cli.run(&format!("{add} --json")).expect(65).json();
    assert_eq!(failed["error"]["code"], "not_signed");
    assert!(
        !cli.folder().join("milepost.lock").exists(),
        "nothing was written"
    );
    assert!(!kept(&digest).exists(), "nothing was kept");

    let good = signer.signature(&registry, &manifest);
    put(
        &registry,
        &manifest,
        &[changed, other.signature(&registry, &manifest), good],
    );
    cli.run(&add).expect(0);
    let line = format!("key = \"{}\"", signer.public);
    assert!(
        lock(&cli).lines().any(|found| found == line),
        "{}",
        lock(&cli)
    );
    cli.run("validate w.toml").expect(0);

    // The key stays: what comes next has to be signed, too.
    let before = lock(&cli);
    let next = push(&component_of(&[name, "next"]), &source);
    refused(
        cli.run("plugin update w.toml --approve"),
        "has no signature of it",
    );
    assert_eq!(lock(&cli), before);
    // Who writes another digest into the lock by hand has not signed it either, also where the component is here by other ways.
    let (_, moved) = registry.manifest("words", "1");
    cli.write("free/w.toml", workflow(&source));
    cli.run("plugin lock free/w.toml").expect(0);
    let forged = before.replace(&digest.to_string(), &next.to_string());
    let wants = |text: &str, digest: &Digest| {
        let entry = text
            .split("[[plugin]]")
            .find(|entry| entry.contains(&digest.to_string()));
        let lines = entry.unwrap().lines();
        let wants: Vec<String> = lines
            .filter(|line| line.starts_with("secrets") || line.starts_with("wants"))
            .map(str::to_owned)
            .collect();
        wants.join("\n")
    };
    let free = std::fs::read_to_string(cli.folder().join("free/milepost.lock")).unwrap();
    let forged = forged.replace(&wants(&before, &digest), &wants(&free, &next));
    for forged in [
        forged.clone(),
        forged.replace(&manifest.to_string(), &moved.to_string()),
    ] {
        cli.write("milepost.lock", forged);
        refused(
            cli.run("validate w.toml"),
            "no signature with that key is on this machine",
        );
        cli.run("plugin lock w.toml").expect(65);
    }
    cli.write("milepost.lock", &before);
    cli.run("validate w.toml").expect(0);

    put(&registry, &moved, &[signer.signature(&registry, &moved)]);
    cli.run("plugin update w.toml --approve").expect(0);
    assert!(lock(&cli).contains(&next.to_string()));
    forget(&next);
    cli.run("plugin lock w.toml").expect(0);
    cli.run("validate w.toml").expect(0);

    // Another key takes its place only where it has signed.
    cli.write("other.pub", other.pem());
    refused(
        cli.run("plugin update w.toml text --key other.pub"),
        "none of its 1 signatures",
    );
    put(&registry, &moved, &[other.signature(&registry, &moved)]);
    cli.run("plugin update w.toml text --key other.pub")
        .expect(0);
    assert!(lock(&cli).contains(&other.public) && !lock(&cli).contains(&signer.public));
}

#[test]
fn a_component_is_accepted_only_when_its_key_has_signed_it() {
    is_accepted_only_when_signed("registries_p256", &Signer::p256());
    is_accepted_only_when_signed("registries_ed25519", &Signer::ed25519());
}

#[test]
fn of_many_signatures_few_are_looked_at_and_none_that_is_large() {
    let (registry, cli) = (Registry::new(), Cli::new());
    let source = registry.source("words:1");
    let digest = push(&component_of(&["registries_many"]), &source);
    let (_, manifest) = registry.manifest("words", "1");
    let signer = Signer::p256();
    cli.write("w.toml", workflow(&source));
    cli.write("w.pub", signer.pem());
    cli.run("plugin lock w.toml").expect(0);
    forget(&digest);
    let update = "plugin update w.toml text --key w.pub";

    // The right one stands behind as many others as are looked at.
    let other = Signer::p256().signature(&registry, &manifest);
    let good = signer.signature(&registry, &manifest);
    let mut layers = vec![other; 10_000];
    layers[limits::OCI_SIGNATURES] = good.clone();
    put(&registry, &manifest, &layers);
    let _ = registry.asked();
    refused(cli.run(update), "none of its 20 signatures");
    let asked = registry.asked();
    let texts = asked
        .iter()
        .filter(|asked| asked.target.contains("/blobs/"));
    assert_eq!(texts.count(), limits::OCI_SIGNATURES);

    let mut large = good.clone();
    large["size"] = json!(limits::OCI_SIGNED_BYTES + 1);
    put(&registry, &manifest, &[large]);
    refused(cli.run(update), "what is signed has 65537 bytes");
    layers.swap(0, limits::OCI_SIGNATURES);
    put(&registry, &manifest, &layers);
    cli.run(update).expect(0);

    // What shows it on this machine is not read however large it is, either.
    let key = Digest::of(signer.public.as_bytes());
    let proof = kept(&digest).with_file_name(format!("{}-{}.json", digest.hex(), key.hex()));
    let mut bytes = std::fs::read(&proof).unwrap();
    bytes.resize(limits::OCI_PROOF_BYTES, b' ');
    std::fs::write(&proof, &bytes).unwrap();
    cli.run("validate w.toml").expect(0);
    bytes.push(b' ');
    std::fs::write(&proof, &bytes).unwrap();
    refused(
        cli.run("validate w.toml"),
        "no signature with that key is on this machine",
    );
}

#[test]
fn files_with_keys_and_logins_are_read_up_to_a_limit() {
    let (registry, cli) = (Registry::new(), Cli::new());
    let source = registry.source("words:1");
    push(&component_of(&["registries_large_files"]), &source);
    cli.write("w.toml", workflow(&source));
    cli.write("w.pub", " ".repeat(limits::OCI_KEY_BYTES + 1));
    cli.run("plugin lock w.toml").expect(0);
    refused(
        cli.run("plugin update w.toml text --key w.pub"),
        "it is larger than 64KiB",
    );
    let logins = " ".repeat(limits::OCI_LOGINS_BYTES + 1);
    cli.write(".docker/config.json", logins);
    refused(cli.run("plugin update w.toml"), "it is larger than 1MiB");
}

#[test]
fn what_is_no_key_is_refused_before_anybody_is_asked() {
    let (registry, cli) = (Registry::new(), Cli::new());
    let source = registry.source("words:1");
    push(&component_of(&["registries_no_key"]), &source);
    cli.write("w.toml", workflow(&source));
    cli.run("plugin lock w.toml").expect(0);
    let before = lock(&cli);
    // An RSA key is longer, one on another curve has another name.
    let other_curve = "3056301006072a8648ce3d020106052b8104000a034200";
    let other_curve = base64(&[unhex(other_curve), vec![4; 65]].concat());
    for (pem, says) in [
        (String::new(), "no public key in PEM"),
        (
            "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n".to_owned(),
            "no public key in PEM",
        ),
        (
            format!("-----BEGIN PUBLIC KEY-----\n{other_curve}\n-----END PUBLIC KEY-----\n"),
            "neither a key on P-256",
        ),
    ] {
        cli.write("w.pub", pem);
        let said = cli
            .run("plugin update w.toml text --key w.pub")
            .expect(65)
            .stderr;
        assert!(said.contains(says), "{says}: {said}");
    }
    cli.write(
        "milepost.lock",
        before.replace("contract =", "key = \"MAA=\"\ncontract ="),
    );
    let said = cli.run("plugin lock w.toml").expect(65).stderr;
    assert!(
        said.contains("milepost.lock:8 cannot be used: it is neither a key"),
        "{said}"
    );
    cli.run("validate w.toml").expect(65);
    // A key for what is in no registry would promise what nobody checks.
    cli.write("f/w.toml", workflow("text.wasm"));
    cli.write("f/text.wasm", component_of(&[]));
    cli.run("plugin lock f/w.toml").expect(0);
    cli.write("w.pub", Signer::p256().pem());
    refused(
        cli.run("plugin update f/w.toml text --key w.pub"),
        "is not in a registry",
    );
}

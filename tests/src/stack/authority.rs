//! A certificate authority for tests: certificates as PEM files, of any name and any time.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Result, anyhow};
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyIdMethod,
    PKCS_ECDSA_P256_SHA256, PublicKeyData, SignatureAlgorithm, SigningKey, date_time_ymd,
};
use ring::rand::{SecureRandom, SystemRandom};
use ring::signature::{ECDSA_P256_SHA256_ASN1_SIGNING, EcdsaKeyPair, KeyPair};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An authority that signs what it is asked to, into a folder.
pub struct Authority {
    issuer: Arc<CertifiedIssuer<'static, Key>>,
    folder: PathBuf,
    name: String,
}

/// A certificate and its key.
#[derive(Debug, Clone)]
pub struct Certificate {
    /// The certificate.
    pub certificate: PathBuf,
    /// Its key (PKCS #8).
    pub key: PathBuf,
    /// Both in one file, as Kafka wants them.
    pub both: PathBuf,
}

impl Authority {
    /// A new authority; its own certificate is [`Authority::certificate`].
    pub fn new(name: &str, folder: &Path) -> Result<Authority> {
        let mut params = params(Vec::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let issuer = CertifiedIssuer::self_signed(params, Key::generate()?)?;
        let issuer = Arc::new(issuer);
        let authority = Authority { issuer, folder: folder.into(), name: name.into() };
        std::fs::write(authority.certificate(), authority.issuer.pem())?;
        Ok(authority)
    }

    /// The file of the authority's own certificate.
    pub fn certificate(&self) -> PathBuf {
        self.folder.join(format!("{}.pem", self.name))
    }

    /// The same authority, whose further files go into another folder.
    pub fn in_folder(&self, folder: &Path) -> Authority {
        let (issuer, name) = (self.issuer.clone(), self.name.clone());
        Authority { issuer, folder: folder.into(), name }
    }

    /// A certificate for `host` (and as a user's name), valid from a day ago until a day from now.
    pub fn sign(&self, host: &str) -> Result<Certificate> {
        self.sign_until(host, SystemTime::now() + DAY)
    }

    /// The same, valid until then. A file of the same host is replaced.
    pub fn sign_until(&self, host: &str, until: SystemTime) -> Result<Certificate> {
        let mut params = params(vec![host.to_string()])?;
        params.distinguished_name.push(DnType::CommonName, host);
        let until = until.duration_since(UNIX_EPOCH)?;
        params.not_after = date_time_ymd(1970, 1, 1) + until;
        params.not_before = params.not_after - 2 * DAY;
        let key = Key::generate()?;
        let certificate = params.signed_by(&key, &**self.issuer)?.pem();
        let files = Certificate {
            certificate: self.folder.join(format!("{}-{host}.pem", self.name)),
            key: self.folder.join(format!("{}-{host}.key", self.name)),
            both: self.folder.join(format!("{}-{host}.both", self.name)),
        };
        std::fs::write(&files.certificate, &certificate)?;
        std::fs::write(&files.key, key.pem())?;
        std::fs::write(&files.both, format!("{}{certificate}", key.pem()))?;
        Ok(files)
    }
}

/// What every certificate has: a number, and an id of its key, of its own.
fn params(names: Vec<String>) -> Result<CertificateParams> {
    let mut number = [0; 8];
    SystemRandom::new().fill(&mut number).map_err(|_| anyhow!("no random numbers"))?;
    let mut params = CertificateParams::new(names)?;
    params.serial_number = Some(number.to_vec().into());
    params.key_identifier_method = KeyIdMethod::PreSpecified(number.to_vec());
    Ok(params)
}

/// A key on the curve P-256.
struct Key {
    pair: EcdsaKeyPair,
    pkcs8: Vec<u8>,
}

impl Key {
    fn generate() -> Result<Key> {
        let (algorithm, random) = (&ECDSA_P256_SHA256_ASN1_SIGNING, SystemRandom::new());
        let pkcs8 = EcdsaKeyPair::generate_pkcs8(algorithm, &random);
        let pkcs8 = pkcs8.map_err(|_| anyhow!("no key can be made"))?.as_ref().to_vec();
        let pair = EcdsaKeyPair::from_pkcs8(algorithm, &pkcs8, &random);
        Ok(Key { pair: pair.map_err(|error| anyhow!("the key is refused: {error}"))?, pkcs8 })
    }

    fn pem(&self) -> String {
        pem::encode(&pem::Pem::new("PRIVATE KEY", self.pkcs8.clone()))
    }
}

impl PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        self.pair.public_key().as_ref()
    }

    fn algorithm(&self) -> &'static SignatureAlgorithm {
        &PKCS_ECDSA_P256_SHA256
    }
}

impl SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature = self.pair.sign(&SystemRandom::new(), message);
        Ok(signature.map_err(|_| rcgen::Error::RemoteKeyError)?.as_ref().to_vec())
    }
}

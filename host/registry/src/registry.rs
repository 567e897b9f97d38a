//! A registry: pushes a guest, and pulls one by its digest.
//!
//! Owns the order of the requests, and every comparison of what came with what was asked for. The credentials are read when a
//! registry asks for some, once.

mod authorization;

use bytes::Bytes;
use herd_model::limits::{GUEST_BYTES_MAX, SIGNATURES_BYTES_MAX, TRANSCRIPTS_BYTES_MAX};
use herd_model::{Digest, Digester, GuestFiles};
use reqwest::{Method, Response, StatusCode, Url};
use tokio::time::timeout;

use self::authorization::Authorization;
use crate::access::Access;
use crate::artifact::{Artifact, Interfaces};
use crate::error::RegistryError;
use crate::http::{Http, Request, codes, host_of, next_chunk, read};
use crate::manifest::{MANIFEST_BYTES_MAX, MANIFEST_TYPE, Manifest, config_of};
use crate::reference::Reference;

/// The registry of a reference, with the credentials that it asked for.
#[derive(Debug)]
pub struct Registry {
    http: Http,
    reference: Reference,
    authorization: Authorization,
    base: Url,
}

impl Registry {
    /// Prepares requests to the registry of a reference. Sends nothing.
    ///
    /// # Errors
    ///
    /// No client can be made: there are no root certificates.
    pub fn new(reference: &Reference, access: &Access) -> Result<Self, RegistryError> {
        let plain = access.plain_http || reference.is_loopback();
        let scheme = if plain { "http" } else { "https" };
        let base = format!("{scheme}://{}/v2/{}/", reference.api_host(), reference.repository());
        let base = Url::parse(&base).map_err(|_| RegistryError::NoClient)?;
        let http = Http::new(reference.api_host(), plain)?;
        let authorization = Authorization::new(reference, access);
        Ok(Self { http, reference: reference.clone(), authorization, base })
    }

    /// Returns the reference with the digest that its tag has now. One with a digest is returned as it is.
    ///
    /// Cancel safe.
    ///
    /// # Errors
    ///
    /// The registry cannot be asked, or has no such tag.
    pub async fn resolve(&mut self) -> Result<Reference, RegistryError> {
        let reference = self.reference.clone();
        match (reference.digest(), reference.tag()) {
            (None, Some(tag)) => Ok(reference.at(Digest::of(&self.manifest(tag).await?))),
            _ => Ok(reference),
        }
    }

    /// Pulls the guest of the reference, which has to have a digest. A tag beside the digest has to name it still.
    ///
    /// Cancel safe: nothing is stored.
    ///
    /// # Errors
    ///
    /// The registry cannot be asked, or anything that came is not what was asked for.
    pub async fn pull(&mut self) -> Result<Artifact, RegistryError> {
        let reference = self.reference.clone();
        let Some(wanted) = reference.digest() else {
            return Err(RegistryError::NoDigest { now: Box::new(self.resolve().await?) });
        };
        let manifest = match reference.tag() {
            Some(tag) => {
                let manifest = self.manifest(tag).await?;
                let found = Digest::of(&manifest);
                if found != wanted {
                    let (unmoved, now) = (Box::new(reference.without_tag()), Box::new(reference.at(found)));
                    return Err(RegistryError::TagMoved { tag: tag.into(), wanted, found, unmoved, now });
                }
                manifest
            }
            None => self.manifest(&format!("sha256:{wanted}")).await?,
        };
        let found = Digest::of(&manifest);
        if found != wanted {
            return Err(RegistryError::ManifestDigest { host: self.host(), wanted, found });
        }
        let manifest =
            Manifest::parse(&manifest).map_err(|problem| RegistryError::Manifest { digest: wanted, problem })?;
        let guest = self.layer(manifest.guest, manifest.guest_bytes).await?;
        Ok(Artifact { guest, signatures: manifest.signatures, transcripts: manifest.transcripts })
    }

    /// Pushes a guest under the tag of the reference, and returns the reference with the digest.
    ///
    /// # Errors
    ///
    /// The registry cannot be asked or refuses, or the guest is too large. The tag names what it named before.
    pub async fn push(&mut self, files: GuestFiles<'_>, interfaces: &Interfaces) -> Result<Reference, RegistryError> {
        let reference = self.reference.clone();
        let (Some(tag), None) = (reference.tag(), reference.digest()) else {
            return Err(RegistryError::PushByDigest);
        };
        let config = config_of(files.guest, interfaces);
        let manifest = Manifest::write(files, &config);
        for (what, bytes, max) in [
            ("the guest", files.guest.len(), GUEST_BYTES_MAX),
            ("the file of signatures", files.signatures.map_or(0, <[u8]>::len), SIGNATURES_BYTES_MAX),
            ("the text of the transcripts", files.transcripts.map_or(0, <[u8]>::len), TRANSCRIPTS_BYTES_MAX),
            ("the manifest with signatures and transcripts", manifest.len(), MANIFEST_BYTES_MAX),
        ] {
            if bytes > max {
                return Err(RegistryError::TooLarge { what, bytes, max });
            }
        }
        for blob in [files.guest, &config] {
            self.upload(blob).await?;
        }
        let digest = Digest::of(&manifest);
        let mut put = Request::new(Method::PUT, self.url(&format!("manifests/{tag}")), "the manifest");
        put.body = Some((MANIFEST_TYPE, manifest.into()));
        self.expect(&put, &[StatusCode::CREATED, StatusCode::OK]).await?;
        Ok(reference.at(digest))
    }

    /// Gets the bytes of a manifest, by tag or digest. The caller compares their digest.
    async fn manifest(&mut self, name: &str) -> Result<Vec<u8>, RegistryError> {
        let mut get = Request::new(Method::GET, self.url(&format!("manifests/{name}")), "a request for the manifest");
        get.accept = Some(MANIFEST_TYPE);
        read(self.expect(&get, &[StatusCode::OK]).await?, MANIFEST_BYTES_MAX).await
    }

    /// Gets the layer: as many bytes as the manifest states, with that digest.
    async fn layer(&mut self, stated: Digest, bytes: usize) -> Result<Vec<u8>, RegistryError> {
        let get = Request::new(Method::GET, self.url(&format!("blobs/sha256:{stated}")), "a request for the guest");
        let mut answer = self.expect(&get, &[StatusCode::OK]).await?;
        let host = host_of(answer.url());
        let wrong = |relation| RegistryError::LayerSize { host: host.clone(), stated: bytes, relation };
        // Grows with what comes, not with what the manifest states.
        let (mut guest, mut digester) = (Vec::new(), Digester::default());
        let all = async {
            while let Some(chunk) = next_chunk(&mut answer, &host).await? {
                if chunk.len() > bytes - guest.len() {
                    return Err(wrong("more than"));
                }
                digester.add(&chunk);
                guest.extend_from_slice(&chunk);
            }
            Ok(())
        };
        timeout(LAYER_MAX, all).await.map_err(|_| RegistryError::TimedOut { host: host.clone() })??;
        if guest.len() < bytes {
            return Err(wrong("fewer than"));
        }
        match digester.finish() {
            found if found == stated => Ok(guest),
            found => Err(RegistryError::LayerDigest { host, stated, found }),
        }
    }

    /// Uploads a blob in one piece, unless the registry has it.
    async fn upload(&mut self, blob: &[u8]) -> Result<(), RegistryError> {
        let digest = format!("sha256:{}", Digest::of(blob));
        let head = Request::new(Method::HEAD, self.url(&format!("blobs/{digest}")), "a question");
        if self.send(&head).await?.status() == StatusCode::OK {
            return Ok(());
        }
        let post = Request::new(Method::POST, self.url("blobs/uploads/"), "the beginning of an upload");
        let begun = self.expect(&post, &[StatusCode::ACCEPTED]).await?;
        let mut url = self.http.leads_to(&post.url, &begun)?;
        // The upload carries the credentials.
        if url.origin() != self.base.origin() {
            return Err(RegistryError::Astray { host: self.host(), whither: "to another host for the upload" });
        }
        url.query_pairs_mut().append_pair("digest", &digest);
        let mut put = Request::new(Method::PUT, url, "an upload");
        put.body = Some(("application/octet-stream", Bytes::copy_from_slice(blob)));
        self.expect(&put, &[StatusCode::CREATED]).await.map(|_| ())
    }

    /// Sends a request, and fails unless the answer has one of these status.
    async fn expect(&mut self, request: &Request, wanted: &[StatusCode]) -> Result<Response, RegistryError> {
        let answer = self.send(request).await?;
        match answer.status() {
            status if wanted.contains(&status) => Ok(answer),
            StatusCode::NOT_FOUND => {
                let what = self.reference.to_string();
                Err(RegistryError::Unknown { host: self.host(), what })
            }
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                let whom = self.authorization.whom();
                Err(RegistryError::Denied { host: host_of(answer.url()), whom, codes: codes(answer).await })
            }
            _ => {
                let host = host_of(answer.url());
                Err(RegistryError::Answer { host, codes: codes(answer).await, request: request.what })
            }
        }
    }

    /// Sends a request with what the registry asked for before, and again with what it asks for now.
    async fn send(&mut self, request: &Request) -> Result<Response, RegistryError> {
        let answer = self.http.send(request, self.authorization.header()).await?;
        // Only the registry itself is told who asks: an answer from where it led is final.
        if answer.status() != StatusCode::UNAUTHORIZED || answer.url().origin() != self.base.origin() {
            return Ok(answer);
        }
        if self.authorization.answer(&self.http, &answer).await? {
            return self.http.send(request, self.authorization.header()).await;
        }
        Ok(answer)
    }

    fn url(&self, path: &str) -> Url {
        // The parts are a tag, a digest or a constant, none of which a URL takes for anything else.
        self.base.join(path).expect("a relative path of plain letters joins")
    }

    fn host(&self) -> String {
        host_of(&self.base)
    }
}

/// Time of a layer: the largest guest at about a megabit a second.
const LAYER_MAX: std::time::Duration = std::time::Duration::from_secs(600);

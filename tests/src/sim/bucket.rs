//! S3 as the simulation has it, below the store that Weir has over the real one: an object is there whole or
//! not at all and never lost, but a put may fail after it was done, also by 412, the name being taken by
//! itself; or by 409; or be done after it failed; and every call may be refused or take long.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use chrono::DateTime;
use futures::stream::BoxStream;
use futures::{FutureExt, StreamExt};
use object_store::client::{HttpError, HttpErrorKind};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::faults::Faults;
use super::turn;

/// A put that was given up and is done later.
#[derive(Debug)]
struct Late {
    due_ms: i64,
    location: Path,
    payload: PutPayload,
}

#[derive(Debug, Default)]
struct State {
    late: Vec<Late>,
    /// When objects were put, ms.
    put_ms: BTreeMap<Path, i64>,
}

/// The bucket: cheap to clone, one for all processes.
#[derive(Debug, Clone)]
pub struct SimBucket {
    objects: Arc<InMemory>,
    state: Arc<Mutex<State>>,
    faults: Faults,
}

impl SimBucket {
    /// An empty one.
    pub fn new(faults: Faults) -> SimBucket {
        SimBucket { objects: Arc::default(), state: Arc::default(), faults }
    }

    /// The objects without faults, as a server beside them sees them.
    pub fn inside(&self) -> Arc<InMemory> {
        self.objects.clone()
    }

    /// The state, once every put is done that is due.
    fn lock(&self) -> MutexGuard<'_, State> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now_ms = self.faults.now_ms();
        let (due, later) =
            std::mem::take(&mut state.late).into_iter().partition(|late| late.due_ms <= now_ms);
        state.late = later;
        let due: Vec<Late> = due;
        for Late { location, payload, .. } in due {
            // A name that is taken by now stays what it is.
            if self.put(&mut state, &location, payload, PutMode::Create.into()).is_ok() {
                self.faults.count("s3 put landed late");
            }
        }
        state
    }

    fn put(
        &self,
        state: &mut State,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.objects.put_opts(location, payload, options).now_or_never();
        let put = put.unwrap_or_else(|| Err(failed("memory took its time")));
        if put.is_ok() {
            state.put_ms.insert(location.clone(), self.faults.now_ms());
        }
        put
    }

    fn refuse(&self, times: u64, what: &'static str) -> Result<()> {
        if !self.faults.one_in(times) {
            return Ok(());
        }
        self.faults.count(what);
        Err(failed("503 SlowDown"))
    }
}

fn failed(why: &'static str) -> Error {
    Error::Generic { store: "SimBucket", source: why.into() }
}

/// What a client makes of a request whose answer never came.
fn unanswered() -> Error {
    let silence = std::io::Error::from(std::io::ErrorKind::TimedOut);
    let source = Box::new(HttpError::new(HttpErrorKind::Timeout, silence));
    Error::Generic { store: "SimBucket", source }
}

/// What a client makes of a name that S3 says is taken.
fn taken(location: &Path, why: &'static str) -> Error {
    Error::AlreadyExists { path: location.to_string(), source: why.into() }
}

impl fmt::Display for SimBucket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SimBucket")
    }
}

#[async_trait]
impl ObjectStore for SimBucket {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        self.faults.slow(15, 3_000).await;
        self.refuse(150, "s3 put refused")?;
        let create = options.mode == PutMode::Create;
        if create && self.faults.one_in(300) {
            let due_ms = self.faults.soon_ms(4_000);
            self.lock().late.push(Late { due_ms, location: location.clone(), payload });
            return Err(unanswered());
        }
        if create && self.faults.one_in(200) {
            self.faults.count("s3 409");
            return Err(taken(location, "409 ConditionalRequestConflict"));
        }
        let put = self.put(&mut self.lock(), location, payload, options);
        turn().await;
        if put.is_ok() && self.faults.one_in(100) {
            self.faults.count("s3 put unanswered");
            return Err(unanswered());
        }
        if put.is_ok() && create && self.faults.one_in(100) {
            self.faults.count("s3 412 after its own put");
            return Err(taken(location, "412 PreconditionFailed"));
        }
        put
    }

    async fn put_multipart_opts(
        &self,
        _: &Path,
        _: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        Err(Error::NotSupported { source: "objects are put whole".into() })
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.faults.slow(30, 1_000).await;
        self.refuse(500, "s3 get refused")?;
        drop(self.lock());
        self.objects.get_opts(location, options).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.objects.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let put_ms = self.lock().put_ms.clone();
        let dated = move |found: Result<ObjectMeta>| {
            found.map(|mut object| {
                let at_ms = put_ms.get(&object.location).copied().unwrap_or_default();
                object.last_modified = DateTime::from_timestamp_millis(at_ms).unwrap_or_default();
                object
            })
        };
        self.objects.list(prefix).map(dated).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.objects.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.objects.copy_opts(from, to, options).await
    }
}

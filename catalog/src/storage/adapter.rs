//! An `ObjectStore` under the Iceberg library's `FileIO`.

use std::ops::Range;
use std::sync::Arc;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use futures::StreamExt;
use futures::stream::BoxStream;
use iceberg::io::{
    FileIO, FileIOBuilder, FileMetadata, FileRead, FileWrite, InputFile, OutputFile, Storage,
    StorageConfig, StorageFactory,
};
use iceberg::{Error, ErrorKind, Result};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt, PutMode};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::Warehouse;

/// The library's `FileIO` over `store`, which holds the files of `warehouse`.
pub fn file_io(store: Arc<dyn ObjectStore>, warehouse: Warehouse) -> FileIO {
    FileIOBuilder::new(Arc::new(IcebergStorage { store, warehouse })).build()
}

/// The library's storage, and its factory, over the `ObjectStore` of a warehouse.
#[derive(Debug, Clone)]
pub struct IcebergStorage {
    store: Arc<dyn ObjectStore>,
    warehouse: Warehouse,
}

impl IcebergStorage {
    fn at(&self, location: &str) -> Result<Path> {
        let path = self.warehouse.object_path(location);
        path.map_err(|e| Error::new(ErrorKind::DataInvalid, e.to_string()))
    }
}

// The library's traits ask for serde because its tables can be sent to other processes. An open
// store cannot, and nothing here does.
impl Serialize for IcebergStorage {
    fn serialize<S: Serializer>(&self, _: S) -> std::result::Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("weir's storage cannot be sent to another process"))
    }
}

impl<'de> Deserialize<'de> for IcebergStorage {
    fn deserialize<D: Deserializer<'de>>(_: D) -> std::result::Result<Self, D::Error> {
        Err(serde::de::Error::custom("weir's storage cannot come from another process"))
    }
}

#[typetag::serde(name = "WeirStorageFactory")]
impl StorageFactory for IcebergStorage {
    fn build(&self, _config: &StorageConfig) -> Result<Arc<dyn Storage>> {
        Ok(Arc::new(self.clone()))
    }
}

fn wrap(doing: &'static str, location: &str, e: object_store::Error) -> Error {
    Error::new(ErrorKind::Unexpected, format!("{doing} {location}: {e}")).with_source(e)
}

#[async_trait]
#[typetag::serde(name = "WeirStorage")]
impl Storage for IcebergStorage {
    async fn exists(&self, path: &str) -> Result<bool> {
        match self.store.head(&self.at(path)?).await {
            Ok(_) => Ok(true),
            Err(object_store::Error::NotFound { .. }) => Ok(false),
            Err(e) => Err(wrap("looking for", path, e)),
        }
    }

    async fn metadata(&self, path: &str) -> Result<FileMetadata> {
        let meta =
            self.store.head(&self.at(path)?).await.map_err(|e| wrap("looking for", path, e))?;
        Ok(FileMetadata { size: meta.size })
    }

    async fn read(&self, path: &str) -> Result<Bytes> {
        let got = self.store.get(&self.at(path)?).await.map_err(|e| wrap("reading", path, e))?;
        got.bytes().await.map_err(|e| wrap("reading", path, e))
    }

    async fn reader(&self, path: &str) -> Result<Box<dyn FileRead>> {
        Ok(Box::new(Reader {
            store: self.store.clone(),
            path: self.at(path)?,
            location: path.to_string(),
        }))
    }

    async fn write(&self, path: &str, bytes: Bytes) -> Result<()> {
        // Every file of a table has a name of its own: what is there already is not ours.
        let put = self.store.put_opts(&self.at(path)?, bytes.into(), PutMode::Create.into()).await;
        put.map(|_| ()).map_err(|e| wrap("writing", path, e))
    }

    async fn writer(&self, path: &str) -> Result<Box<dyn FileWrite>> {
        self.at(path)?;
        Ok(Box::new(Writer {
            storage: self.clone(),
            location: path.to_string(),
            buffer: Some(BytesMut::new()),
        }))
    }

    async fn delete(&self, path: &str) -> Result<()> {
        match self.store.delete(&self.at(path)?).await {
            Ok(()) | Err(object_store::Error::NotFound { .. }) => Ok(()),
            Err(e) => Err(wrap("deleting", path, e)),
        }
    }

    async fn delete_prefix(&self, path: &str) -> Result<()> {
        // Nothing of ours removes folders; a library that would must not do so unnoticed.
        let text = format!("deleting everything below {path} is not supported by weir");
        Err(Error::new(ErrorKind::FeatureUnsupported, text))
    }

    async fn delete_stream(&self, mut paths: BoxStream<'static, String>) -> Result<()> {
        while let Some(path) = paths.next().await {
            self.delete(&path).await?;
        }
        Ok(())
    }

    fn new_input(&self, path: &str) -> Result<InputFile> {
        Ok(InputFile::new(Arc::new(self.clone()), path.to_string()))
    }

    fn new_output(&self, path: &str) -> Result<OutputFile> {
        Ok(OutputFile::new(Arc::new(self.clone()), path.to_string()))
    }
}

struct Reader {
    store: Arc<dyn ObjectStore>,
    path: Path,
    location: String,
}

#[async_trait]
impl FileRead for Reader {
    async fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let got = self.store.get_range(&self.path, range).await;
        got.map_err(|e| wrap("reading", &self.location, e))
    }
}

/// Collects and puts on close: an object appears whole or not at all.
struct Writer {
    storage: IcebergStorage,
    location: String,
    buffer: Option<BytesMut>,
}

#[async_trait]
impl FileWrite for Writer {
    async fn write(&mut self, bytes: Bytes) -> Result<()> {
        match &mut self.buffer {
            Some(buffer) => {
                buffer.extend_from_slice(&bytes);
                Ok(())
            }
            None => Err(closed(&self.location)),
        }
    }

    async fn close(&mut self) -> Result<()> {
        match self.buffer.take() {
            Some(buffer) => self.storage.write(&self.location, buffer.freeze()).await,
            None => Err(closed(&self.location)),
        }
    }
}

fn closed(location: &str) -> Error {
    Error::new(ErrorKind::Unexpected, format!("{location} was closed before"))
}

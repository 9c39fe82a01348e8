//! A try of everything that griot asks of an object store: what `griot doctor` reports.

use bytes::Bytes;

use super::{ObjectError, ObjectKey, Objects};

impl Objects {
    /// Writes a small object, looks at it, reads it back, lists it and deletes it; `name` makes it one of its
    /// own. Answers with the step that failed and why.
    ///
    /// # Errors
    /// The first step that fails: `write`, `look at`, `read`, `list`, `delete`.
    pub async fn probe(&self, name: &str) -> Result<(), (&'static str, ObjectError)> {
        let key = ObjectKey::probe(name);
        let content = Bytes::from(format!("griot doctor {name}"));
        self.put(&key, content.clone())
            .await
            .map_err(|error| ("write", error))?;
        let tried = self.try_probe(&key, &content).await;
        let deleted = self.delete(&key).await.map_err(|error| ("delete", error));
        tried.and(deleted)
    }

    async fn try_probe(
        &self,
        key: &ObjectKey,
        content: &Bytes,
    ) -> Result<(), (&'static str, ObjectError)> {
        let length = content.len() as u64;
        let differs = |step| {
            let text = "it gives other bytes than it was given".to_owned();
            Err((step, ObjectError::Other(text)))
        };
        if self.head(key).await.map_err(|error| ("look at", error))? != length {
            return differs("look at");
        }
        let read = self.read(key, 1, length - 1);
        let read = read.await.map_err(|error| ("read", error))?;
        let read = read.collect().await.map_err(|error| ("read", error))?;
        if read != content[1..] {
            return differs("read");
        }
        let listed = self.list_all(key.as_str());
        let listed = listed.await.map_err(|error| ("list", error))?;
        if listed.iter().all(|object| object.path != key.as_str()) {
            return differs("list");
        }
        Ok(())
    }
}

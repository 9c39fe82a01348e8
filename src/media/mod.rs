//! Images and videos that members see: what becomes of an accepted upload, and the rows it leaves.

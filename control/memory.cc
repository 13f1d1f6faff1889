// How jemalloc, which weftd is linked with, deals with memory: docs/decisions/0008. Read by it
// before main().

extern "C" {
extern const char* malloc_conf;
/// Rows come by the hundred thousand: on large pages, which are asked for and so cost nothing where
/// the system has none to give. Free memory goes back after the usual ten seconds.
const char* malloc_conf = "thp:always,metadata_thp:auto";
}

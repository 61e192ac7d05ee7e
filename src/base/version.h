/* base/version.h - what this build calls itself: one place for the daemon, the client and the packages. */
#ifndef BASE_VERSION_H
#define BASE_VERSION_H

#define VERSION_TEXT "0.1.0"

#ifndef VERSION_COMMIT
#define VERSION_COMMIT ""
#endif

#if defined(__SANITIZE_ADDRESS__)
#define VERSION_KIND "asan"
#elif defined(__SANITIZE_THREAD__)
#define VERSION_KIND "tsan"
#elif defined(__OPTIMIZE__)
#define VERSION_KIND "release"
#else
#define VERSION_KIND "debug"
#endif

#if defined(__clang__)
#define VERSION_COMPILER "clang " __clang_version__
#else
#define VERSION_COMPILER "gcc " __VERSION__
#endif

#endif

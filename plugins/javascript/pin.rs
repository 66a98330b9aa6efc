//! Nothing: the package pins the sources of QuickJS.

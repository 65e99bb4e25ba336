// Placeholder until the module's first part lands.

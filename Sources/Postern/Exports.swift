// Operations, reasons and addresses are part of every call here: `import Postern` is enough to use it.
@_exported import Instructions

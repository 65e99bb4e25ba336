/// Postern's own version; one for the broker, the commands and the library.
public enum Version {
  public static let text = "0.1.0"
}

import CLinux
import Instructions

/// The calling thread's last refusal, for an interface that can only return an errno.
public enum LastRefusal {
  /// Notes it; nil: what failed was no refusal.
  public static func set(_ refusal: Refusal?) {
    // SAFETY: the string is copied during the call.
    unsafe clinux_set_last_reason(
      Int32(refusal?.reason.rawValue ?? 0), Int32(refusal?.detail.rawValue ?? 0), refusal?.message ?? "")
  }

  public static var current: Refusal? {
    guard let reason = Reason(rawValue: UInt16(clamping: clinux_last_reason())) else { return nil }
    let detail = RefusalDetail(rawValue: UInt16(clamping: clinux_last_detail())) ?? .none
    // SAFETY: never null; only this thread writes it.
    return unsafe Refusal(reason, detail: detail, message: String(cString: clinux_last_message()))
  }
}

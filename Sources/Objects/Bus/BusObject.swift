import Authority
import Instructions
import Linux

/// Opens bus objects.
public enum BusObject {
  /// Opens the device that the definition names, of the kernel or of the simulated kernel, with the settings it gives.
  ///
  /// - Parameter simulation: the simulated kernel; one for the broker's life.
  /// - Throws: the errno of the open or of a setting; EINVAL for a definition that no device can satisfy. Nothing stays
  ///   open or set then.
  public static func open(_ specification: BusSpecification, simulation: SimulatedBuses) throws(SystemError)
    -> any OpenObject
  {
    switch specification.device {
    case .i2c(let path, let address):
      return try I2CObject(BusDevice(path: path), address: address)
    case .simulated(.registerFile):
      return try I2CObject(BusDevice(.i2c, of: simulation), address: SimulatedBuses.registersAddress)
    case .simulated(.eeprom):
      return try I2CObject(BusDevice(.i2c, of: simulation), address: SimulatedBuses.eepromAddress)
    case .simulated(.temperatureSensor):
      return try I2CObject(BusDevice(.i2c, of: simulation), address: SimulatedBuses.temperatureSensorAddress)
    default:
      throw .invalid
    }
  }
}

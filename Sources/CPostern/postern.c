#include "postern.h"

<?php

declare(strict_types=1);

namespace Voxgate\Shim;

use InvalidArgumentException;

/** A value that JSON, or UTF-8, cannot hold. Nothing is dropped or replaced in silence. */
final class EncodingError extends InvalidArgumentException
{
}

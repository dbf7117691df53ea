<?php

declare(strict_types=1);

namespace Voxgate\Shim;

/** A whole number of any size, written as its digits: PHP's own int ends at 64 bits, Python's does not. */
final class Digits
{
    public function __construct(public readonly string $text)
    {
        if (preg_match('/^(0|-?[1-9][0-9]*)$/D', $text) !== 1) {
            throw new EncodingError('a whole number is digits without a leading zero');
        }
    }
}

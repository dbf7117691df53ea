<?php

declare(strict_types=1);

namespace Voxgate\Shim;

/** One of the seven. */
interface Endpoint
{
    /** @throws Refusal */
    public function answer(Call $call): Result;
}

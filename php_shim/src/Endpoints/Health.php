<?php

declare(strict_types=1);

namespace Voxgate\Shim\Endpoints;

use Voxgate\Shim\Call;
use Voxgate\Shim\Endpoint;
use Voxgate\Shim\Refusal;
use Voxgate\Shim\Result;
use Voxgate\Shim\SharedData;

/** Whether the endpoints can do their work. Legacy fields: `status`, `version`, `checks`. */
final class Health implements Endpoint
{
    public function answer(Call $call): Result
    {
        $store = $call->environment->store();
        $standing = $store === null ? 'off' : ($store->works() ? 'ok' : 'down');
        $checks = ['store' => ['status' => $standing]];
        if ($standing === 'down') {
            throw new Refusal('unavailable', 'Conversations cannot be kept now', ['checks' => $checks]);
        }
        $health = ['status' => 'ok', 'version' => SharedData::load('table')->version, 'checks' => $checks];
        return new Result($health, $health);
    }
}
